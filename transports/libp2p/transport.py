"""libp2p as a bearer: the asyncio side, where the node meets it."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transports.errors import LocalTransportError
from transports.identifier import pack_announcement
from transports.interface import Announcement, Handler, Link, Sighting
from transports.libp2p.address import parse_address
from transports.libp2p.gossip import Check, Notices
from transports.libp2p.lookout import BEARER
from transports.libp2p.serving import Serving
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.sockets import Counters


class Libp2pTransport:
    """A `Transport` over libp2p. It may serve again after it stopped; at most once at a time."""

    def __init__(self, settings: Libp2pSettings | None = None) -> None:
        self._settings = settings or Libp2pSettings()
        self._counters = Counters()
        self._shown: bytes | None = None
        self._serving: Serving | None = None

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
        self._serving = serving = Serving(self._settings, self._counters, handler)
        serving.show(self._shown)
        try:
            await serving.start()
            yield
        finally:
            self._serving = None
            await serving.stop()

    def announce(self, announcement: Announcement | None) -> None:
        self._shown = None if announcement is None else pack_announcement(announcement)
        if self._serving is not None:
            self._serving.show(self._shown)

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        serving = self._running()
        async with contextlib.aclosing(serving.lookout.look(window_ms)) as sightings:
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

    def _running(self) -> Serving:
        if self._serving is None:
            raise LocalTransportError("the libp2p bearer is not serving")
        return self._serving
