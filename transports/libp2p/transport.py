"""libp2p as a bearer: the asyncio side, where the node meets it."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from transports.duplex import Trunks, serve
from transports.errors import LinkLost, LocalTransportError, Malformed
from transports.interface import MAX_SIGHTINGS, Announcement, Handler, Link, Sighting
from transports.libp2p.address import InvalidAddress, PeerAddress, parse_address
from transports.libp2p.bridge import Bridge
from transports.libp2p.gossip import Check, Mesh, Notices
from transports.libp2p.host import Host, peer_id_of
from transports.libp2p.mdns import Surroundings, looking, own_hosts
from transports.libp2p.pipe import StreamPipe
from transports.libp2p.settings import SEED_BYTES, Libp2pSettings
from transports.libp2p.sighting import decode_sighting, encode_sighting
from transports.libp2p.sockets import Counters
from transports.rates import SourceRates

BEARER = "libp2p"
ASKED_AT_ONCE = 8
"""Peers in one look around; each costs a connection."""
FIRST_RESTART_MS, LAST_RESTART_MS = 1_000, 60_000
"""The wait before the trio side is started again after it died: doubled each time, up to the last, and the first again
once it has lived for as long as the last. The first is longer than our neighbours' gossip takes to notice that we are
gone (see `Host._forgotten`)."""
log = logging.getLogger(__name__)
T = TypeVar("T")


class Libp2pTransport:
    """A `Transport` over libp2p. It may serve again after it stopped; at most once at a time."""

    def __init__(self, settings: Libp2pSettings | None = None) -> None:
        self._settings = settings or Libp2pSettings()
        self._counters = Counters()
        self._shown: bytes | None = None
        self._serving: _Serving | None = None

    @property
    def name(self) -> str:
        return BEARER

    @property
    def address(self) -> str:
        """Where we are reached and as whom: the first of our addresses. Raises LocalTransportError when not serving."""
        return str(self._running().address)

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        if self._serving is not None:
            raise LocalTransportError("the libp2p bearer is serving already")
        self._serving = serving = _Serving(self._settings, self._counters, handler)
        serving.show(self._shown)
        try:
            await serving.start()
            yield
        finally:
            self._serving = None
            await serving.stop()

    def announce(self, announcement: Announcement | None) -> None:
        self._shown = None if announcement is None else encode_sighting(announcement)
        if self._serving is not None:
            self._serving.show(self._shown)

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        serving = self._running()
        async with contextlib.aclosing(serving.look(window_ms)) as sightings:
            async for sighting in sightings:
                yield sighting

    async def dial(self, address: str) -> Link:
        """Raises InvalidAddress, LinkLost, and LocalTransportError when not serving."""
        return await self._running().trunks.dial(str(parse_address(address)))

    async def ping(self, address: str) -> int:
        """The round trip to a peer in microseconds, by libp2p's own ping: for a person who looks for a fault. Raises
        as `dial` does."""
        return await self._running().ping(parse_address(address))

    @asynccontextmanager
    async def notices(self, check: Check) -> AsyncIterator[Notices]:
        """Take part in the gossip of the microgrid, inside of `serving`, one at a time. See `Notices` for what `check`
        is; without anybody to check them, notices are not passed on.

        Raises LocalTransportError when the settings name no microgrid, or no key of our own.
        """
        serving = self._running()
        if self._settings.topic is None:
            raise LocalTransportError("this node does not gossip: its settings need a microgrid and a seed")
        if serving.notices is not None:
            raise LocalTransportError("the notices are listened to already")
        serving.notices = notices = Notices(check, serving.publish)
        try:
            yield notices
        finally:
            serving.notices = None
            notices.close()

    def counters(self) -> dict[str, int]:
        """Counted at the TCP sockets."""
        return {"bytes_sent": self._counters.bytes_sent, "bytes_received": self._counters.bytes_received}

    def _running(self) -> "_Serving":
        if self._serving is None:
            raise LocalTransportError("the libp2p bearer is not serving")
        return self._serving


class _Serving:
    """One time of serving, over as many lives of the trio side as it takes."""

    def __init__(self, settings: Libp2pSettings, counters: Counters, handler: Handler) -> None:
        self._settings = settings
        self._counters = counters
        self._handler = handler
        self._seed = settings.seed or os.urandom(SEED_BYTES)
        self._port = settings.port
        self._known = tuple(parse_address(text) for text in settings.bootstrap)
        self._bridge: Bridge | None = None
        self._host: Host | None = None
        self._shown: bytes | None = None
        self._served: set[asyncio.Task[None]] = set()
        self._supervising: asyncio.Task[None] | None = None
        self._complaints = SourceRates(burst=1, refill_ms=3_600_000, sources=64)
        self.peer_id = peer_id_of(self._seed)
        self.notices: Notices | None = None
        self._stopping = False
        self._stack = contextlib.AsyncExitStack()
        self._surroundings: Surroundings | None = None
        self.trunks = Trunks(BEARER, self._connect)

    @property
    def address(self) -> PeerAddress:
        return self.addresses[0]

    @property
    def addresses(self) -> list[PeerAddress]:
        hosts = own_hosts(self._settings.listening_host)
        return [PeerAddress(host, self._port, self.peer_id) for host in hosts]

    async def start(self) -> None:
        bridge = await self._begin()
        self._supervising = asyncio.create_task(self._supervise(bridge))
        if self._settings.mdns:
            self._surroundings = await self._stack.enter_async_context(looking(self.addresses))
        self.show(self._shown)

    async def stop(self) -> None:
        self._stopping = True
        await self._stack.aclose()
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        await self.trunks.aclose()
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)
        if self.notices is not None:
            self.notices.close()
        if self._bridge is not None:
            await self._bridge.stop()

    async def ping(self, address: PeerAddress) -> int:
        """Raises LinkLost."""
        return await self._on_host(lambda host: host.ping(address))

    async def publish(self, notice: bytes) -> None:
        """Raises LinkLost."""
        await self._on_host(lambda host: host.publish(notice))

    def _check(self, notice: bytes) -> bool:
        """On the trio side."""
        notices = self.notices
        return notices is not None and notices.check(notice)

    def _hear(self, notice: bytes) -> None:
        if self.notices is not None:
            self.notices.arrive(notice)

    def show(self, shown: bytes | None) -> None:
        self._shown = shown
        if self._host is not None:
            self._host.shown = shown
        if self._surroundings is not None:
            self._surroundings.show(shown is not None)

    async def look(self, window_ms: int) -> AsyncGenerator[Sighting, None]:
        """Ask everybody that we know of, some at a time."""
        found: asyncio.Queue[Sighting | None] = asyncio.Queue()
        asking = asyncio.create_task(self._ask_all(found, window_ms))
        try:
            while (sighting := await found.get()) is not None:
                yield sighting
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask_all(self, found: "asyncio.Queue[Sighting | None]", window_ms: int) -> None:
        turns = asyncio.Semaphore(ASKED_AT_ONCE)
        asked = set(self.addresses)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(window_ms / 1000), asyncio.TaskGroup() as asking:
                    async for address in self._candidates():
                        if address.peer_id != self.peer_id and address not in asked and len(asked) < MAX_SIGHTINGS:
                            asked.add(address)
                            asking.create_task(self._ask(address, found, turns))
        finally:
            found.put_nowait(None)

    async def _candidates(self) -> AsyncIterator[PeerAddress]:
        for address in self._known:
            yield address
        if self._surroundings is not None:
            async for address in self._surroundings.peers():
                yield address

    async def _ask(
        self, address: PeerAddress, found: "asyncio.Queue[Sighting | None]", turns: asyncio.Semaphore
    ) -> None:
        async with turns:
            try:
                data = await self._on_host(lambda host: host.ask(address))
                if data:
                    announcement = decode_sighting(data)
                    now_ms = int(asyncio.get_running_loop().time() * 1000)
                    found.put_nowait(Sighting(BEARER, str(address), announcement, now_ms))
            except (LinkLost, InvalidAddress):
                return
            except Malformed as problem:
                self._complain(address.peer_id, problem)

    async def _connect(self, address: str) -> StreamPipe:
        """Cancelling leaves nothing, also when the pipe was made in that moment."""
        made: list[StreamPipe] = []

        async def dial(host: Host) -> StreamPipe:
            made.append(await host.dial(parse_address(address)))
            return made[0]

        try:
            return await self._on_host(dial)
        except asyncio.CancelledError:
            for pipe in made:
                await pipe.aclose()
            raise

    async def _on_host(self, work: Callable[[Host], Awaitable[T]]) -> T:
        bridge, host = self._bridge, self._host
        if bridge is None or host is None:
            raise LinkLost("libp2p is being started again")
        return await bridge.call(lambda: work(host))

    async def _begin(self) -> Bridge:
        bridge = Bridge()
        topic = self._settings.topic
        mesh = None if topic is None else Mesh(topic, self._check, lambda notice: bridge.to_asyncio(self._hear, notice))
        host = Host(bridge, self._seed, self._counters, self._accept, mesh, self._known)
        self._bridge = bridge
        host.shown = self._shown
        await bridge.start(lambda started: host.run(self._settings.listening_host, self._port, started))
        self._port = host.port
        self._host = host
        return bridge

    async def _supervise(self, bridge: Bridge) -> None:
        """Start the trio side again whenever it died: the library lets errors of single connections end it."""
        loop = asyncio.get_running_loop()
        wait_ms = FIRST_RESTART_MS
        while True:
            began_s = loop.time()
            problem = await bridge.ended()
            self._host = None
            if (loop.time() - began_s) * 1000 > LAST_RESTART_MS:
                wait_ms = FIRST_RESTART_MS
            log.error("libp2p stopped unexpectedly, it is started again in %d ms", wait_ms, exc_info=problem)
            bridge, wait_ms = await self._begin_again(wait_ms)

    async def _begin_again(self, wait_ms: int) -> tuple[Bridge, int]:
        """Until it succeeds. Returns what to wait the next time, too."""
        while True:
            await asyncio.sleep(wait_ms / 1000)
            wait_ms = min(2 * wait_ms, LAST_RESTART_MS)
            try:
                return await self._begin(), wait_ms
            except LocalTransportError as problem:
                log.error("libp2p can't be started, the next attempt is in %d ms: %s", wait_ms, problem)

    def _accept(self, pipe: StreamPipe) -> None:
        if self._stopping:
            return  # the pipe ends with the trio side, very soon
        task = asyncio.create_task(self._serve(pipe))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _serve(self, pipe: StreamPipe) -> None:
        try:
            await serve(pipe, self._handler)
            if pipe.malformed is not None:
                raise pipe.malformed
        except Malformed as problem:
            self._complain(pipe.source, problem)

    def _complain(self, source: str, problem: Malformed) -> None:
        """Once a source, for as long as its fault may be the same."""
        if self._complaints.allow(source, int(asyncio.get_running_loop().time() * 1000)):
            log.warning("%s does not keep to the protocol: %s", source, problem)
