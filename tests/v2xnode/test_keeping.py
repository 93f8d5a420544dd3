"""Bearers that can't be opened, and the others; on a clock that jumps to the next thing to happen.

A bearer fails as an in-memory one does whose name is taken, until that name is free.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import pytest

from tests.contract.transport_contract import Peer, badge, look
from tests.support.virtual_time import VirtualTimeLoop
from transports.errors import LinkLost, LocalTransportError
from transports.interface import Handler
from transports.memory import MemoryNetwork, MemoryTransport
from v2xnode.clock import loop_clock
from v2xnode.events import EventLog
from v2xnode.keeping import AGAIN_S, OPEN_S, RARELY_S, kept_open

T = TypeVar("T")


def play(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(story())


class Air:
    """Two bearers of a node called `node`, and somebody who listens on both."""

    def __init__(self) -> None:
        self.networks = [MemoryNetwork(1, bearer=name) for name in ("coap", "ble")]
        self.events = EventLog(loop_clock(asyncio.get_running_loop(), 0))
        self.peers: dict[str, Peer] = {}

    def ours(self) -> list[MemoryTransport]:
        return [network.transport("node") for network in self.networks]

    def handler(self, bearer: str) -> Handler:
        return self.peers.setdefault(bearer, Peer())

    def taken(self, *bearers: str) -> AsyncExitStack:
        """The node's name on these bearers is somebody else's for as long as this lasts."""
        stack = AsyncExitStack()
        for network in self.networks:
            if network.bearer in bearers:
                network.enter(network.transport("node"))
                stack.callback(network.leave, network.transport("node"))
        return stack

    async def reaches(self, bearer: str) -> bool:
        """Whether a stranger on a bearer gets an answer from the node."""
        network = next(each for each in self.networks if each.bearer == bearer)
        who = network.transport("stranger")
        async with who.serving(Peer()):
            link = await who.dial("node")
            try:
                return await link.request(b"hello", timeout_ms=500) == b"hello"
            except LinkLost:
                return False

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events.since(0, kind)]


def test_all_bearers_are_open_while_it_lasts_and_no_longer() -> None:
    async def story() -> None:
        air = Air()
        async with kept_open(air.ours(), air.handler, air.events):
            assert [await air.reaches(each) for each in ("coap", "ble")] == [True, True]
        assert [await air.reaches(each) for each in ("coap", "ble")] == [False, False]
        assert air.told("bearer_failed") == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(story)


def test_one_that_fails_is_told_and_tried_again_while_the_other_serves() -> None:
    async def story() -> None:
        air = Air()
        taken = air.taken("ble")
        transports = air.ours()
        async with kept_open(transports, air.handler, air.events):
            shown = badge()
            for transport in transports:
                transport.announce(shown)
            assert await air.reaches("coap")
            await asyncio.sleep(AGAIN_S * 2)
            told = air.told("bearer_failed")
            assert [(each["bearer"], each["code"], each["again_s"]) for each in told] == [
                ("ble", "transport_local", AGAIN_S),
                ("ble", "transport_local", AGAIN_S * 2),
            ]
            await taken.aclose()
            await asyncio.sleep(AGAIN_S * 2)
            assert air.told("bearer_open") == [{"bearer": "ble"}]
            assert await air.reaches("ble")
            who = air.networks[1].transport("stranger")
            async with who.serving(Peer()):
                assert shown in {each.announcement for each in await look(who, 500)}

    play(story)


def test_it_is_tried_more_and_more_rarely() -> None:
    async def story() -> None:
        air = Air()
        async with air.taken("ble"), kept_open(air.ours(), air.handler, air.events):
            await asyncio.sleep(3_600)
            waits = [each["again_s"] for each in air.told("bearer_failed")]
            assert waits[:7] == [1, 2, 4, 8, 16, 32, RARELY_S]
            assert set(waits[7:]) == {RARELY_S}
            assert 60 < len(waits) < 70

    play(story)


def test_a_node_that_has_no_bearer_at_all_is_told_why() -> None:
    async def story() -> None:
        air = Air()
        async with air.taken("coap", "ble"):
            with pytest.raises(LocalTransportError, match="serves 'node' already"):
                async with kept_open(air.ours(), air.handler, air.events):
                    pytest.fail("it was opened")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(story)


class Slow(MemoryTransport):
    """Takes its time to open."""

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        await asyncio.sleep(OPEN_S * 3)
        async with super().serving(handler):
            yield


def test_a_slow_one_is_not_waited_for_and_joins_later() -> None:
    async def story() -> None:
        air = Air()
        coap = air.ours()[0]
        ble = Slow(air.networks[1], "node")
        async with kept_open([coap, ble], air.handler, air.events):
            assert asyncio.get_running_loop().time() == pytest.approx(OPEN_S)
            assert await air.reaches("coap")
            await asyncio.sleep(OPEN_S * 2)
            assert await air.reaches("ble")

    play(story)


class Falls(MemoryTransport):
    """A bearer whose radio is pulled out every so often."""

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        try:
            async with super().serving(handler), asyncio.timeout(10):
                yield
        except TimeoutError:
            raise LocalTransportError("the radio is gone") from None


def test_one_that_falls_is_opened_again() -> None:
    async def story() -> None:
        air = Air()
        coap, ble = air.ours()[0], Falls(air.networks[1], "node")
        async with kept_open([coap, ble], air.handler, air.events):
            await asyncio.sleep(10.5)
            assert not await air.reaches("ble")
            await asyncio.sleep(1)
            assert await air.reaches("ble")

    play(story)


def test_an_error_of_the_body_and_a_bug_of_a_bearer_pass_as_they_are() -> None:
    class Broken(MemoryTransport):
        @asynccontextmanager
        async def serving(self, handler: Handler) -> AsyncIterator[None]:
            async with super().serving(handler):
                yield
                raise ZeroDivisionError

    async def story() -> None:
        air = Air()
        with pytest.raises(KeyError):
            async with kept_open(air.ours(), air.handler, air.events):
                raise KeyError
        with pytest.raises(ZeroDivisionError):
            async with kept_open([Broken(air.networks[0], "node")], air.handler, air.events):
                pass

    play(story)
