"""The emulated link keeps its promises about rate, delay, queue and loss."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.emulator import BadLink, Queue

sizes = st.lists(st.integers(20, 1_280), min_size=1, max_size=40)


def queue(link: BadLink) -> Queue:
    return Queue(link, random.Random(link.seed))


def test_a_packet_takes_its_time_out_and_its_time_on_the_way() -> None:
    slow = queue(BadLink(rate_bps=10_000, delay_ms=300))
    assert slow.arrival_us(125, 5_000_000) == 5_000_000 + 100_000 + 300_000


@given(sizes, st.integers(0, 2_000_000))
def test_packets_leave_in_order_and_never_faster_than_the_rate(packets: list[int], every_us: int) -> None:
    link = BadLink(queue_bytes=10**6)
    slow = queue(link)
    arrivals = [slow.arrival_us(size, number * every_us) for number, size in enumerate(packets)]
    for number, (size, arrival) in enumerate(zip(packets, arrivals, strict=True)):
        out_us = size * 8_000_000 // link.rate_bps
        assert arrival is not None
        assert arrival >= number * every_us + out_us + link.delay_ms * 1000
        before = arrivals[number - 1] if number else None
        assert before is None or arrival >= before + out_us


def test_what_finds_the_queue_full_is_dropped_and_costs_no_time() -> None:
    slow = queue(BadLink(rate_bps=8_000, delay_ms=0, queue_bytes=250))
    assert [slow.arrival_us(100, 0) for _ in range(3)] == [100_000, 200_000, None]
    assert slow.arrival_us(100, 100_000) == 300_000


@pytest.mark.parametrize("loss_permille", [0, 100, 200, 1_000])
def test_loss_is_as_frequent_as_said_and_repeats_with_the_seed(loss_permille: int) -> None:
    def lost(seed: int) -> list[bool]:
        link = BadLink(loss_permille=loss_permille, seed=seed)
        slow = queue(link)
        return [slow.arrival_us(50, number * 10**6) is None for number in range(2_000)]

    assert lost(1) == lost(1)
    assert sum(lost(1)) == pytest.approx(2 * loss_permille, abs=80)
    assert (lost(1) == lost(2)) == (loss_permille in (0, 1_000))


def test_a_lost_packet_has_used_the_air_all_the_same() -> None:
    slow = queue(BadLink(rate_bps=8_000, delay_ms=0, loss_permille=1_000))
    assert slow.arrival_us(100, 0) is None
    assert slow._free_at_us == 100_000
