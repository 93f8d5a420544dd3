"""CoAP as a bearer (RFC 7252): one UDP port of the node's own, multicast discovery on the shared one."""

import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from transports.coap.address import Peer, parse_address
from transports.coap.client import BEARER, CoapLink
from transports.coap.datagrams import Counters, UdpSocket, open_own
from transports.coap.discovery import Beacon, LookAround
from transports.coap.endpoint import Endpoint
from transports.coap.server import Server
from transports.coap.settings import CoapSettings
from transports.errors import LocalTransportError
from transports.interface import Announcement, Handler, Link, Sighting

OWN_ANNOUNCEMENTS_KEPT = 4
"""Answers to our own question may be under way when the identifier changes; it does so every 15 minutes."""


class CoapTransport:
    """A `Transport` over CoAP. It may serve again after it stopped; at most once at a time."""

    def __init__(self, settings: CoapSettings | None = None) -> None:
        self._settings = settings or CoapSettings()
        self._counters = Counters()
        self._announced: deque[Announcement | None] = deque([None], maxlen=OWN_ANNOUNCEMENTS_KEPT)
        self._endpoint: Endpoint | None = None
        self._own: Peer | None = None
        self._beacon: Beacon | None = None
        self._looks: set[LookAround] = set()

    @property
    def name(self) -> str:
        return BEARER

    @property
    def address(self) -> str:
        """Where we serve, with the port that was free where the settings left it open. Raises LocalTransportError when
        not serving."""
        if self._own is None:
            raise LocalTransportError("the CoAP bearer is not serving")
        return str(self._own)

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        if self._own is not None:
            raise LocalTransportError("the CoAP bearer is serving already")
        sock = UdpSocket(open_own(self._settings), self._counters)
        self._own = own = sock.local
        endpoint = Endpoint(sock, self._settings.pace)
        server = Server(endpoint, handler, self._shown)
        beacon = Beacon(self._settings, endpoint, own, self._counters, self._shown)
        try:
            beacon.listen()
            endpoint.open(server)
            self._endpoint, self._beacon = endpoint, beacon
            yield
        finally:
            self._endpoint = self._beacon = self._own = None
            for look in list(self._looks):
                look.close()
            beacon.close()
            try:
                await server.close()
            finally:
                endpoint.close()

    def announce(self, announcement: Announcement | None) -> None:
        """Identifiers change at least every 15 minutes, so this is also when interfaces that came up meanwhile (a
        wireless network, a cable) begin to be listened on."""
        self._announced.append(announcement)
        if self._beacon is not None and announcement is not None:
            with contextlib.suppress(LocalTransportError):
                self._beacon.listen()

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        look = LookAround(self._settings, self._counters, self._is_ours)
        self._looks.add(look)
        try:
            async with aclosing(look.sightings(window_ms)) as sightings:
                async for sighting in sightings:
                    yield sighting
        finally:
            look.close()
            self._looks.discard(look)

    async def dial(self, address: str) -> Link:
        """Sends nothing yet: CoAP has no connections. Raises InvalidAddress, and LocalTransportError when not serving
        or when the port that we serve on can't reach the peer's kind of address."""
        if self._endpoint is None:
            raise LocalTransportError("the CoAP bearer is not serving: dial inside its context")
        peer = parse_address(address)
        if not self._endpoint.reaches(peer):
            family = "IPv6" if peer.is_ipv6 else "IPv4"
            raise LocalTransportError(f"{address} needs {family}, and this node serves on {self.address} only")
        return CoapLink(self._endpoint, peer)

    def counters(self) -> dict[str, int]:
        return {"bytes_sent": self._counters.bytes_sent, "bytes_received": self._counters.bytes_received}

    def _shown(self) -> Announcement | None:
        return self._announced[-1]

    def _is_ours(self, announcement: Announcement, at: Peer) -> bool:
        own = {shown.identifier for shown in self._announced if shown is not None}
        return announcement.identifier in own or at == self._own
