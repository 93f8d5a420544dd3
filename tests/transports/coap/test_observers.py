"""Pushes, as a third party's observing client sees them."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.contract.transport_contract import until
from tests.transports.coap.bench import LoopbackBench, Node, Stranger, fetch, serving
from transports.coap.address import TRADE_PATH
from transports.coap.observers import CONFIRM_EVERY
from transports.coap.packet import Block, Code, Kind, Packet, empty
from transports.coap.settings import Pace
from transports.interface import MAX_FRAME_BYTES, Pusher


@pytest.fixture
async def node(bench: LoopbackBench) -> AsyncIterator[Node]:
    hurried = replace(bench.settings("b"), pace=Pace(first_wait_ms=100, spread_permille=0, patience_ms=150))
    async with serving(hurried) as node:
        yield node


async def subscribed(node: Node, stranger: Stranger) -> Pusher:
    stranger.send(fetch(1, b"status"), node.port)
    opening = await stranger.hears()
    assert (opening.kind, opening.payload, opening.observe) == (Kind.ACKNOWLEDGEMENT, b"opened status", 1)
    return node.handler.pushers[-1]


async def test_every_tenth_push_is_confirmed_by_itself(node: Node) -> None:
    with Stranger() as stranger:
        pusher = await subscribed(node, stranger)
        heard = []
        for number in range(2 * CONFIRM_EVERY):
            pusher.push(b"%d" % number, confirmed=False)
            heard.append(await stranger.hears())
            if heard[-1].kind is Kind.CONFIRMABLE:
                stranger.send(empty(Kind.ACKNOWLEDGEMENT, heard[-1].mid), node.port)
    confirmed = [int(packet.payload) for packet in heard if packet.kind is Kind.CONFIRMABLE]
    assert confirmed == [CONFIRM_EVERY - 1, 2 * CONFIRM_EVERY - 1]
    assert {packet.token for packet in heard} == {b"view"}
    numbers = [packet.observe or 0 for packet in heard]
    assert numbers == sorted(set(numbers))


async def test_while_one_is_unconfirmed_only_the_newest_waits(node: Node) -> None:
    with Stranger() as stranger:
        pusher = await subscribed(node, stranger)
        for number in range(100):
            pusher.push(b"%d" % number, confirmed=True)
        first = await stranger.hears()
        stranger.send(empty(Kind.ACKNOWLEDGEMENT, first.mid), node.port)
        second = await stranger.hears()
        assert (first.payload, second.payload) == (b"0", b"99")
        stranger.send(empty(Kind.ACKNOWLEDGEMENT, second.mid), node.port)
        assert await stranger.hears_nothing(40)


async def test_a_repetition_carries_the_newest_state(node: Node) -> None:
    with Stranger() as stranger:
        pusher = await subscribed(node, stranger)
        pusher.push(b"older", confirmed=True)
        pusher.push(b"newer", confirmed=True)
        assert [(await stranger.hears()).payload for _ in range(2)] == [b"older", b"newer"]


async def test_a_dialer_that_acknowledges_nothing_has_left(node: Node) -> None:
    with Stranger() as stranger:
        pusher = await subscribed(node, stranger)
        pusher.push(b"anybody?", confirmed=True)
        await until(lambda: pusher.closed, 2_000)
        for _ in range(2):
            assert (await stranger.hears()).payload == b"anybody?"
        pusher.push(b"nobody", confirmed=False)
        assert await stranger.hears_nothing(30)


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_reset_ends_it_at_once(node: Node, confirmed: bool) -> None:
    with Stranger() as stranger:
        pusher = await subscribed(node, stranger)
        pusher.push(b"state", confirmed=confirmed)
        stranger.send(empty(Kind.RESET, (await stranger.hears()).mid), node.port)
        await until(lambda: pusher.closed, 1_000)


async def test_only_who_subscribed_can_end_it(node: Node) -> None:
    with Stranger() as stranger, Stranger() as forger:
        pusher = await subscribed(node, stranger)
        pusher.push(b"state", confirmed=False)
        mid = (await stranger.hears()).mid
        forger.send(empty(Kind.RESET, mid), node.port)
        forger.send(fetch(2, b"", observe=1), node.port)
        stranger.send(replace(fetch(3, b"", observe=1), token=b"guess"), node.port)
        stranger.send(fetch(4, b"", observe=1), node.port)
        assert await stranger.hears() == Packet(Kind.ACKNOWLEDGEMENT, Code.CONTENT, 4, b"view")
        assert pusher.closed
        assert await forger.hears_nothing(20)


async def test_a_second_subscription_under_the_same_token_replaces_the_first(node: Node) -> None:
    with Stranger() as stranger:
        first = await subscribed(node, stranger)
        stranger.send(fetch(2, b"again"), node.port)
        assert (await stranger.hears()).payload == b"opened again"
        assert first.closed
        assert not node.handler.pushers[-1].closed


async def test_the_end_is_told_until_it_is_known(node: Node) -> None:
    with Stranger() as stranger:
        (await subscribed(node, stranger)).close()
        last = [await stranger.hears() for _ in range(2)]
        assert last[0] == last[1]
        assert (last[0].code, last[0].observe) == (Code.NOT_FOUND, None)
        stranger.send(empty(Kind.ACKNOWLEDGEMENT, last[0].mid), node.port)


async def test_a_node_that_stops_says_so(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with serving(bench.settings("b")) as node:
            pusher = await subscribed(node, stranger)
        assert (await stranger.hears()).code == Code.NOT_FOUND
    assert pusher.closed
    pusher.push(b"late", confirmed=True)
    pusher.close()


async def test_a_large_push_waits_to_be_fetched(node: Node) -> None:
    frame = os.urandom(MAX_FRAME_BYTES)
    with Stranger() as stranger:
        pusher = await subscribed(node, stranger)
        pusher.push(frame, confirmed=False)
        first = await stranger.hears()
        heard, etag = first.payload, first.etag
        for number in (1, 2, 3):
            wanted = Packet(
                Kind.CONFIRMABLE,
                Code.FETCH,
                10 + number,
                b"rest",
                path=(TRADE_PATH,),
                block2=Block(number, False, 1024),
            )
            stranger.send(wanted, node.port)
            answer = await stranger.hears()
            assert answer.etag == etag
            heard += answer.payload
        assert heard == frame


async def test_pushes_before_the_opening_answer_follow_it(bench: LoopbackBench) -> None:
    async with serving(bench.settings("b")) as node:

        async def subscribed_eagerly(frame: bytes, source: str, pusher: Pusher) -> bytes:
            pusher.push(b"early", confirmed=False)
            pusher.push(b"newer", confirmed=False)
            await asyncio.sleep(0)
            return b"opening"

        node.handler.subscribed = subscribed_eagerly  # type: ignore[method-assign]
        with Stranger() as stranger:
            stranger.send(fetch(1, b"status"), node.port)
            assert [(await stranger.hears()).payload for _ in range(2)] == [b"opening", b"newer"]
