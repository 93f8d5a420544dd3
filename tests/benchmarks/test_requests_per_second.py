"""Rates are compared round by round, over ends that do what they are said to do."""

import pytest

from benchmarks.requests_per_second import Compared, Rate, answering, asking, echoed, echoing, measure, table


def test_each_comparison_shows_its_median_round() -> None:
    sealed = [(Rate(50, 60), Rate(100, 100)), (Rate(70, 90), Rate(100, 100)), (Rate(10, 80), Rate(100, 100))]
    rows = table(Compared(130, sealed, [(Rate(20, 0), Rate(80, 1))])).rows
    assert [(row.ours, row.other) for row in rows] == [(50, 100), (80, 100), (20, 80)]
    assert [row.met for row in rows] == [False, True, None]


async def test_our_ends_sign_and_verify_over_one_link() -> None:
    async with answering() as (address, peer), asking(address, peer) as client:
        await client.ask()
        await client.ask()
        assert client.link.traffic.round_trips == 3, "the handshake and two requests"
        assert client.link.peer == peer


async def test_the_other_ends_carry_the_same_bytes_both_ways() -> None:
    async with echoing() as uri, echoed(uri, 130) as client:
        await client.ask()
        assert len(client.payload) == 130


@pytest.mark.processes
async def test_all_are_measured_in_processes_of_their_own() -> None:
    found = await measure(rounds=1, requests=3)
    assert 100 < found.payload_bytes < 300
    ((ours, other),), ((node, same),) = found.sealed, found.node
    assert other is same
    assert min(ours.per_s, other.per_s, node.per_s) > 0
