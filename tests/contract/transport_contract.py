"""What every bearer promises, as tests. A bearer's own test module subclasses `TransportContract` and gives `bench`.

    class TestMyBearer(TransportContract):
        @pytest.fixture
        def bench(self) -> Bench: ...

The class constants are the bearer's patience in milliseconds of its event loop's clock; a slow bearer raises them.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from transports.errors import FrameTooLarge, LinkLost
from transports.interface import (
    IDENTIFIER_BYTES,
    MAX_FRAME_BYTES,
    Announcement,
    Link,
    Pusher,
    Sighting,
    Transport,
)


class Bench(Protocol):
    """Makes transports that can reach each other."""

    def transport(self, name: str) -> Transport:
        """A new transport, not yet serving. The same name twice: the same address after a restart."""
        ...

    def address(self, name: str) -> str:
        """What the others dial to reach `name`."""
        ...


@dataclass
class Peer:
    """A handler that echoes; some frames are orders: `hush` is never answered, `hold` only once `released` is set,
    `refuse` refuses a subscription."""

    heard: list[bytes] = field(default_factory=list)
    pushers: list[Pusher] = field(default_factory=list)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        assert source
        self.heard.append(frame)
        if frame == b"hush":
            return None
        if frame == b"hold":
            await self._hold()
        return frame

    async def _hold(self) -> None:
        self.holding.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes | None:
        assert source
        if frame == b"refuse":
            return None
        self.pushers.append(pusher)
        return b"opened " + frame


def badge() -> Announcement:
    """An announcement that no other test on this network shares."""
    return Announcement(role_bits=1, service_bits=5, identifier=os.urandom(IDENTIFIER_BYTES))


async def look(transport: Transport, window_ms: int) -> list[Sighting]:
    return [sighting async for sighting in transport.discover(window_ms=window_ms)]


async def until(condition: Callable[[], bool], within_ms: int) -> None:
    """Wait on what a bearer shows only as a property."""
    async with asyncio.timeout(within_ms / 1000):
        while not condition():  # noqa: ASYNC110 - the interface has no event for it
            await asyncio.sleep(0.01)


async def next_frame(frames: AsyncIterator[bytes], within_ms: int) -> bytes:
    async with asyncio.timeout(within_ms / 1000):
        return await anext(frames)


async def ends(frames: AsyncIterator[bytes], within_ms: int) -> bool:
    """Whether the iterator ends (by itself or by LinkLost) in time."""
    try:
        async with asyncio.timeout(within_ms / 1000):
            async for _ in frames:
                pass
    except LinkLost:
        return True
    except TimeoutError:
        return False
    return True


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class TransportContract:
    """The promises of `transports.interface`, one test each."""

    answer_ms = 5_000
    """Within it an answer must come."""
    silence_ms = 400
    """As long we wait for an answer that must not come."""
    window_ms = 1_000
    """How long a look around takes."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError("a bearer's test class overrides this fixture")

    async def _pair(self, stack: AsyncExitStack, bench: Bench) -> tuple[Transport, Transport, Peer]:
        """A dialer, an acceptor, and the acceptor's handler, both serving for as long as `stack`."""
        dialer, acceptor, peer = bench.transport("a"), bench.transport("b"), Peer()
        await stack.enter_async_context(acceptor.serving(peer))
        await stack.enter_async_context(dialer.serving(Peer()))
        return dialer, acceptor, peer

    async def _link(self, stack: AsyncExitStack, bench: Bench) -> tuple[Link, Peer]:
        dialer, _, peer = await self._pair(stack, bench)
        link = await dialer.dial(bench.address("b"))
        stack.push_async_callback(link.aclose)
        return link, peer

    def test_is_a_transport(self, bench: Bench) -> None:
        transport = bench.transport("a")
        assert isinstance(transport, Transport)
        assert transport.name

    async def test_discovery_sees_the_other_and_not_oneself(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            dialer, acceptor, _ = await self._pair(stack, bench)
            ours, theirs = badge(), badge()
            dialer.announce(ours)
            acceptor.announce(theirs)
            seen = await look(dialer, self.window_ms)
            assert ours not in {sighting.announcement for sighting in seen}
            sighting = next(sighting for sighting in seen if sighting.announcement == theirs)
            assert sighting.bearer == dialer.name
            link = await dialer.dial(sighting.address)
            assert await link.request(b"found", timeout_ms=self.answer_ms) == b"found"
            await link.aclose()

    async def test_a_node_that_announces_nothing_is_not_seen(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            dialer, acceptor, _ = await self._pair(stack, bench)
            shown = badge()
            acceptor.announce(shown)
            acceptor.announce(None)
            seen = await look(dialer, self.window_ms)
            assert shown not in {sighting.announcement for sighting in seen}

    async def test_a_newer_announcement_replaces_the_older(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            dialer, acceptor, _ = await self._pair(stack, bench)
            older, newer = badge(), badge()
            acceptor.announce(older)
            acceptor.announce(newer)
            seen = {sighting.announcement for sighting in await look(dialer, self.window_ms)}
            assert newer in seen
            assert older not in seen

    async def test_the_link_says_where_it_leads(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, _ = await self._link(stack, bench)
            assert link.bearer == bench.transport("c").name
            assert link.address

    @pytest.mark.parametrize("size", [0, 1, 1_000, MAX_FRAME_BYTES])
    async def test_frames_of_every_size_come_and_go(self, bench: Bench, size: int) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            frame = os.urandom(size)
            assert await link.request(frame, timeout_ms=self.answer_ms) == frame
            assert set(peer.heard) == {frame}

    async def test_a_frame_too_large_is_refused_and_the_link_stays(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            with pytest.raises(FrameTooLarge):
                await link.request(bytes(MAX_FRAME_BYTES + 1), timeout_ms=self.answer_ms)
            assert await link.request(b"after", timeout_ms=self.answer_ms) == b"after"
            assert set(peer.heard) == {b"after"}

    async def test_silence_is_a_lost_link_within_the_deadline(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            before_s = asyncio.get_running_loop().time()
            with pytest.raises(LinkLost):
                await link.request(b"hush", timeout_ms=self.silence_ms)
            assert asyncio.get_running_loop().time() - before_s < self.silence_ms / 1000 + 1
            assert set(peer.heard) == {b"hush"}

    async def test_a_cancelled_request_leaves_the_link_usable(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            held = asyncio.create_task(link.request(b"hold", timeout_ms=self.answer_ms))
            await peer.holding.wait()
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held
            peer.released.set()
            assert await link.request(b"after", timeout_ms=self.answer_ms) == b"after"

    async def test_many_requests_at_once_get_their_own_answers(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, _ = await self._link(stack, bench)
            frames = [b"number %d" % number for number in range(32)]
            asked = (link.request(frame, timeout_ms=self.answer_ms) for frame in frames)
            assert await asyncio.gather(*asked) == frames

    async def test_a_subscription_yields_the_opening_answer_then_the_newest_state(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            subscription = link.subscribe(b"status", timeout_ms=self.answer_ms)
            frames = await stack.enter_async_context(subscription)
            assert await next_frame(frames, self.answer_ms) == b"opened status"
            for number in range(5):
                peer.pushers[0].push(b"state %d" % number, confirmed=True)
            while await next_frame(frames, self.answer_ms) != b"state 4":
                pass
            assert await link.request(b"beside", timeout_ms=self.answer_ms) == b"beside"

    async def test_pushes_of_every_size_arrive(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            subscription = link.subscribe(b"status", timeout_ms=self.answer_ms)
            frames = await stack.enter_async_context(subscription)
            await next_frame(frames, self.answer_ms)
            largest = os.urandom(MAX_FRAME_BYTES)
            peer.pushers[0].push(largest, confirmed=True)
            assert await next_frame(frames, self.answer_ms) == largest
            with pytest.raises(FrameTooLarge):
                peer.pushers[0].push(bytes(MAX_FRAME_BYTES + 1), confirmed=False)

    async def test_a_refused_subscription_is_a_lost_link(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, _ = await self._link(stack, bench)
            with pytest.raises(LinkLost):
                async with link.subscribe(b"refuse", timeout_ms=self.silence_ms):
                    pytest.fail("a refused subscription was entered")
            assert await link.request(b"after", timeout_ms=self.answer_ms) == b"after"

    async def test_the_acceptor_can_end_a_subscription(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            subscription = link.subscribe(b"status", timeout_ms=self.answer_ms)
            frames = await stack.enter_async_context(subscription)
            await next_frame(frames, self.answer_ms)
            peer.pushers[0].close()
            peer.pushers[0].close()
            assert await ends(frames, self.answer_ms)

    async def test_the_pusher_learns_that_the_dialer_left(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, peer = await self._link(stack, bench)
            async with link.subscribe(b"status", timeout_ms=self.answer_ms) as frames:
                await next_frame(frames, self.answer_ms)
                pusher = peer.pushers[0]
                assert not pusher.closed

            def pushed_in_vain() -> bool:
                pusher.push(b"anybody?", confirmed=True)
                return pusher.closed

            await until(pushed_in_vain, self.answer_ms)
            pusher.push(b"nobody", confirmed=True)

    async def test_a_closed_link_ends_its_subscription(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            link, _ = await self._link(stack, bench)
            subscription = link.subscribe(b"status", timeout_ms=self.answer_ms)
            frames = await stack.enter_async_context(subscription)
            await next_frame(frames, self.answer_ms)
            await link.aclose()
            await link.aclose()
            assert await ends(frames, self.answer_ms)
            with pytest.raises(LinkLost):
                await link.request(b"after", timeout_ms=self.answer_ms)

    async def test_a_dead_peer_is_a_lost_link(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            dialer, acceptor = bench.transport("a"), bench.transport("b")
            await stack.enter_async_context(dialer.serving(Peer()))
            async with acceptor.serving(Peer()):
                link = await dialer.dial(bench.address("b"))
                stack.push_async_callback(link.aclose)
                assert await link.request(b"alive", timeout_ms=self.answer_ms) == b"alive"
            with pytest.raises(LinkLost):
                await link.request(b"dead", timeout_ms=self.silence_ms)

    async def test_a_restarted_peer_is_reached_at_its_old_address(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            dialer = bench.transport("a")
            await stack.enter_async_context(dialer.serving(Peer()))
            for life in (b"first", b"second"):
                async with bench.transport("b").serving(Peer()):
                    link = await dialer.dial(bench.address("b"))
                    assert await link.request(life, timeout_ms=self.answer_ms) == life
                    await link.aclose()

    async def test_counters_only_rise(self, bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            dialer, acceptor, _ = await self._pair(stack, bench)
            before = dialer.counters(), acceptor.counters()
            link = await dialer.dial(bench.address("b"))
            await link.request(bytes(100), timeout_ms=self.answer_ms)
            await link.aclose()
            for counters, earlier in zip((dialer.counters(), acceptor.counters()), before, strict=True):
                assert counters["bytes_sent"] - earlier["bytes_sent"] >= 100
                assert counters["bytes_received"] - earlier["bytes_received"] >= 100

    async def test_serving_lets_an_error_of_its_body_pass_as_it_is(self, bench: Bench) -> None:
        with pytest.raises(ZeroDivisionError):
            async with bench.transport("a").serving(Peer()):
                raise ZeroDivisionError

    @pytest.mark.parametrize("first_to_stop", ["dialer", "acceptor"])
    async def test_stopping_with_work_in_flight_leaves_nothing(self, bench: Bench, first_to_stop: str) -> None:
        tasks, descriptors = asyncio.all_tasks(), open_descriptors()
        peer = Peer()
        sides = [(bench.transport("a"), Peer()), (bench.transport("b"), peer)]
        dialer = sides[0][0]
        async with AsyncExitStack() as stack:
            for transport, handler in sides if first_to_stop == "acceptor" else reversed(sides):
                await stack.enter_async_context(transport.serving(handler))
            link = await dialer.dial(bench.address("b"))
            held = asyncio.create_task(link.request(b"hold", timeout_ms=self.answer_ms))
            told = asyncio.create_task(self._follow(link))
            await peer.holding.wait()
            await until(lambda: bool(peer.pushers), self.answer_ms)
        done = await asyncio.gather(held, told, return_exceptions=True)
        assert isinstance(done[0], LinkLost)
        assert done[1] is None or isinstance(done[1], LinkLost)
        assert peer.cancelled
        await link.aclose()
        await until(lambda: asyncio.all_tasks() <= tasks, self.answer_ms)
        assert open_descriptors() == descriptors

    async def _follow(self, link: Link) -> None:
        async with link.subscribe(b"status", timeout_ms=self.answer_ms) as frames:
            async for _ in frames:
                pass
