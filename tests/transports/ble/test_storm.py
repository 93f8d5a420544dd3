"""Links that break at any moment: every request is answered, or fails in time, and is heard once."""

import asyncio
import os
import random
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.contract.transport_contract import Peer, until
from tests.transports.ble.bench import AirBench, in_the_air
from transports.ble.central import Taken
from transports.ble.virtual.air import Air
from transports.errors import LinkLost
from transports.interface import Link

REQUESTS = 500
BYTES = 400
AT_ONCE = 10
TIMEOUT_MS = 3_000
GRACE_MS = 2_500
"""A link that is being let go may take DISCONNECT_MS of a busy machine."""


class Teller:
    """Asks, and keeps count of what becomes of it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.answered = 0
        self.lost = 0

    async def ask(self) -> None:
        frame = os.urandom(BYTES)
        async with asyncio.timeout((TIMEOUT_MS + GRACE_MS) / 1000):
            try:
                assert await self._link.request(frame, timeout_ms=TIMEOUT_MS) == frame
            except LinkLost:
                self.lost += 1
            else:
                self.answered += 1


@pytest.mark.parametrize("seed", range(3))
async def test_five_hundred_requests_while_links_break(seed: int) -> None:
    air, chance, peer = Air(seed=seed), random.Random(seed), Peer()
    async with in_the_air(air) as bench, AsyncExitStack() as stack:
        dialer, acceptor = bench.transport("a"), bench.transport("b")
        await stack.enter_async_context(acceptor.serving(peer))
        await stack.enter_async_context(dialer.serving(Peer()))
        link = await dialer.dial(bench.address("b"))
        teller = Teller(link)
        broken = 0
        for _ in range(REQUESTS // AT_ONCE):
            asking = [asyncio.create_task(teller.ask()) for _ in range(AT_ONCE)]
            await asyncio.sleep(chance.random() * 0.01)
            broken += air.drop_any() if chance.random() < 0.4 else 0
            await asyncio.gather(*asking)
        assert broken > 5
        assert teller.answered + teller.lost == REQUESTS
        assert teller.answered > REQUESTS // 2
        assert max(Counter(peer.heard).values()) == 1
        assert await link.request(b"calm again", timeout_ms=TIMEOUT_MS) == b"calm again"
        await link.aclose()
        await until(lambda: not air.ether.links(), TIMEOUT_MS)


async def test_a_node_that_is_cut_off_is_lost_and_found_again(air: Air, bench: AirBench) -> None:
    async with AsyncExitStack() as stack:
        dialer, acceptor, peer = bench.transport("a"), bench.transport("b"), Peer()
        await stack.enter_async_context(acceptor.serving(peer))
        await stack.enter_async_context(dialer.serving(Peer()))
        link = await dialer.dial(bench.address("b"))
        held = asyncio.create_task(link.request(b"hold", timeout_ms=TIMEOUT_MS))
        await peer.holding.wait()
        air.ether.cut(bench.address("b"))
        with pytest.raises(LinkLost):
            await held
        await until(lambda: bool(peer.cancelled), TIMEOUT_MS)
        with pytest.raises(LinkLost):
            await link.request(b"out of reach", timeout_ms=300)
        air.ether.mend(bench.address("b"))
        assert await link.request(b"in reach", timeout_ms=TIMEOUT_MS) == b"in reach"
        assert peer.heard == [b"hold", b"in reach"]


async def test_a_subscription_ends_with_its_link(air: Air, bench: AirBench) -> None:
    async with AsyncExitStack() as stack:
        dialer, acceptor, peer = bench.transport("a"), bench.transport("b"), Peer()
        await stack.enter_async_context(acceptor.serving(peer))
        await stack.enter_async_context(dialer.serving(Peer()))
        link = await dialer.dial(bench.address("b"))
        frames = await stack.enter_async_context(link.subscribe(b"status", timeout_ms=TIMEOUT_MS))
        assert await anext(frames) == b"opened status"
        assert air.drop_any() == 1
        with pytest.raises(LinkLost):
            await anext(frames)
        await until(lambda: peer.pushers[0].closed, TIMEOUT_MS)


async def test_several_dial_one_and_each_other(air: Air, bench: AirBench) -> None:
    names = "abcde"
    async with AsyncExitStack() as stack:
        transports = {name: bench.transport(name) for name in names}
        for transport in transports.values():
            await stack.enter_async_context(transport.serving(Peer()))
        pairs = [(here, there) for here in names for there in names if here < there]
        links = await asyncio.gather(*(transports[here].dial(bench.address(there)) for here, there in pairs))
        asked = [link.request(bytes([number]) * BYTES, timeout_ms=TIMEOUT_MS) for number, link in enumerate(links)]
        assert await asyncio.gather(*asked) == [bytes([number]) * BYTES for number in range(len(links))]
        assert len(air.ether.links()) == len(pairs)


async def test_two_that_dial_each_other_at_once_have_one_link(air: Air, bench: AirBench) -> None:
    for _ in range(5):
        async with AsyncExitStack() as stack:
            nodes = {name: bench.transport(name) for name in "ab"}
            for transport in nodes.values():
                await stack.enter_async_context(transport.serving(Peer()))
            done = await asyncio.gather(
                nodes["a"].dial(bench.address("b")), nodes["b"].dial(bench.address("a")), return_exceptions=True
            )
            links = [link for link in done if not isinstance(link, BaseException)]
            problems = [problem for problem in done if isinstance(problem, BaseException)]
            assert [type(problem) for problem in problems] == [Taken]
            assert await links[0].request(b"one will do", timeout_ms=TIMEOUT_MS) == b"one will do"
            assert len(air.ether.links()) == 1


async def test_who_is_dialled_can_not_dial_back_and_is_told_why(bench: AirBench) -> None:
    async with AsyncExitStack() as stack:
        dialer, acceptor = bench.transport("a"), bench.transport("b")
        await stack.enter_async_context(acceptor.serving(Peer()))
        await stack.enter_async_context(dialer.serving(Peer()))
        link = await dialer.dial(bench.address("b"))
        with pytest.raises(LinkLost, match="connected to us"):
            await acceptor.dial(bench.address("a"))
        with pytest.raises(LinkLost, match="our own"):
            await dialer.dial(bench.address("a"))
        await link.aclose()
