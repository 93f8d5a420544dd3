"""One time of serving over libp2p, from its start to its stop."""

import asyncio
import contextlib
import logging
import os

from transports.duplex import Trunks, serve
from transports.errors import Malformed
from transports.interface import Handler
from transports.libp2p.address import PeerAddress, parse_address
from transports.libp2p.bridge import Bridge
from transports.libp2p.gossip import Mesh, Notices
from transports.libp2p.host import Host, peer_id_of
from transports.libp2p.lives import Lives
from transports.libp2p.lookout import BEARER, Lookout
from transports.libp2p.mdns import own_hosts
from transports.libp2p.pipe import StreamPipe
from transports.libp2p.settings import SEED_BYTES, Libp2pSettings
from transports.libp2p.sockets import Counters
from transports.libp2p.vicinity import Vicinity
from transports.rates import SourceRates

log = logging.getLogger(__name__)


class Serving:
    """start and stop: once each; stop also after a start that failed."""

    def __init__(self, settings: Libp2pSettings, counters: Counters, handler: Handler) -> None:
        self._settings = settings
        self._counters = counters
        self._handler = handler
        self._seed = settings.seed or os.urandom(SEED_BYTES)
        self._known = tuple(parse_address(text) for text in settings.bootstrap)
        self._served: set[asyncio.Task[None]] = set()
        self._complaints = SourceRates(burst=1, refill_ms=3_600_000, sources=64)
        self._stopping = False
        self._peer_id = peer_id_of(self._seed)
        self._vicinity = Vicinity(self._addresses) if settings.mdns else None
        self.lives = Lives(self._host, settings.listening_host, settings.port)
        self.lookout = Lookout(self.lives, self._addresses, self._known, self._vicinity, self._complain)
        self.trunks = Trunks(BEARER, self._connect)
        self.notices: Notices | None = None

    @property
    def address(self) -> PeerAddress:
        """The first of our addresses."""
        return self._addresses()[0]

    async def start(self) -> None:
        """Raises LocalTransportError."""
        await self.lives.start()
        if self._vicinity is not None:
            await self._vicinity.start()

    async def stop(self) -> None:
        """Everything, whatever goes wrong with a part of it. Raises BridgeStuck."""
        self._stopping = True
        async with contextlib.AsyncExitStack() as last_first:
            last_first.push_async_callback(self.lives.stop)
            last_first.push_async_callback(self._end_served)
            last_first.push_async_callback(self.trunks.aclose)
            if self.notices is not None:
                last_first.callback(self.notices.close)
            if self._vicinity is not None:
                last_first.push_async_callback(self._vicinity.aclose)

    def show(self, shown: bytes | None) -> None:
        """What everybody may know; None is silence."""
        self.lives.show(shown)
        if self._vicinity is not None:
            self._vicinity.show(shown is not None)

    async def ping(self, address: PeerAddress) -> int:
        """The round trip in microseconds. Raises LinkLost."""
        return await self.lives.do(lambda host: host.ping(address))

    async def publish(self, notice: bytes) -> None:
        """Raises LinkLost."""
        await self.lives.do(lambda host: host.publish(notice))

    def _addresses(self) -> list[PeerAddress]:
        hosts = own_hosts(self._settings.listening_host)
        return [PeerAddress(host, self.lives.port, self._peer_id) for host in hosts]

    def _host(self, bridge: Bridge) -> Host:
        topic = self._settings.topic
        mesh = None if topic is None else Mesh(topic, self._check, lambda notice: bridge.to_asyncio(self._hear, notice))
        return Host(bridge, self._seed, self._counters, self._accept, mesh, self._known)

    def _check(self, notice: bytes) -> bool:
        """On the trio side."""
        notices = self.notices
        return notices is not None and notices.check(notice)

    def _hear(self, notice: bytes) -> None:
        if self.notices is not None:
            self.notices.arrive(notice)

    async def _connect(self, address: str) -> StreamPipe:
        """Cancelling leaves nothing, also when the pipe was made in that moment."""
        made: list[StreamPipe] = []

        async def dial(host: Host) -> StreamPipe:
            made.append(await host.dial(parse_address(address)))
            return made[0]

        try:
            return await self.lives.do(dial)
        except asyncio.CancelledError:
            for pipe in made:
                await pipe.aclose()
            raise

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

    async def _end_served(self) -> None:
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    def _complain(self, source: str, problem: Malformed) -> None:
        """Once a source, for as long as its fault may be the same."""
        if self._complaints.allow(source, int(asyncio.get_running_loop().time() * 1000)):
            log.warning("%s does not keep to the protocol: %s", source, problem)
