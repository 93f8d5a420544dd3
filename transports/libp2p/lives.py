"""The trio side, over as many lives as it takes: it is begun again whenever it died."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from transports.errors import LinkLost, LocalTransportError
from transports.libp2p.bridge import Bridge
from transports.libp2p.host import Host

FIRST_RESTART_MS, LAST_RESTART_MS = 1_000, 60_000
"""The wait before the trio side is started again after it died: doubled each time, up to the last, and the first again
once it has lived for as long as the last. The first is longer than our neighbours' gossip takes to notice that we are
gone (see `Connections`)."""
log = logging.getLogger(__name__)
T = TypeVar("T")


class NotStarted(LocalTransportError):
    """The library ended its own start."""

    code = "libp2p_start"


class Lives:
    """start and stop: once each."""

    def __init__(self, make: Callable[[Bridge], Host], host: str, port: int) -> None:
        """make: a host for the next life. host, port: where it listens; 0 is any free port, the same in each life."""
        self._make = make
        self._listening_host = host
        self.port = port
        self.bridge: Bridge | None = None
        self.host: Host | None = None
        """None while it is dead."""
        self._shown: bytes | None = None
        self._supervising: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises LocalTransportError."""
        bridge = await self._begin()
        self._supervising = asyncio.create_task(self._supervise(bridge))

    async def stop(self) -> None:
        """Raises BridgeStuck."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        self.host = None
        if self.bridge is not None:
            await self.bridge.stop()

    def show(self, shown: bytes | None) -> None:
        """What a peer that asks is told, in this life and the next."""
        self._shown = shown
        if self.host is not None:
            self.host.shown = shown

    async def do(self, work: Callable[[Host], Awaitable[T]]) -> T:
        """Run something on the trio side. Raises LinkLost when that is dead or dies, and what `work` raises."""
        bridge, host = self.bridge, self.host
        if bridge is None or host is None:
            raise LinkLost("libp2p is being started again")
        return await bridge.call(lambda: work(host))

    async def _begin(self) -> Bridge:
        bridge = self.bridge = Bridge()
        host = self._make(bridge)
        host.shown = self._shown
        try:
            self.port = await bridge.start(lambda started: host.run(self._listening_host, self.port, started))
        except LocalTransportError:
            raise
        except Exception as problem:  # whatever the library raises: it has no base for its errors
            raise NotStarted(f"libp2p did not start: {problem!r}") from problem
        self.host = host
        return bridge

    async def _supervise(self, bridge: Bridge) -> None:
        """Start the trio side again whenever it died: the library lets errors of single connections end it."""
        loop = asyncio.get_running_loop()
        wait_ms = FIRST_RESTART_MS
        while True:
            began_s = loop.time()
            problem = await bridge.ended()
            self.host = None
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
