"""Looking around and being seen: a question to the group, many answers (RFC 7252, 8; RFC 6690).

The asker has sockets of its own, because aiocoap gives a question its first answer and drops the others.
"""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable

from transports.coap.address import Peer
from transports.coap.client import BEARER
from transports.coap.datagrams import Counters, Received, UdpSocket, Unreachable, Via, source_towards
from transports.coap.endpoint import Endpoint
from transports.coap.linkformat import RESOURCE_TYPE, Offered, compose, matches, parse
from transports.coap.multicast import Path, open_asker, open_listener, paths
from transports.coap.packet import Code, Kind, Packet, decode, encode
from transports.coap.server import LINK_FORMAT, WELL_KNOWN_CORE
from transports.coap.settings import CoapSettings
from transports.interface import MAX_SIGHTINGS, Announcement, Sighting

ASKED_AT_PERMILLE = (0, 250, 500)
"""When in the window the question goes out: three times against loss (1 in 1,000 unheard where 1 in 10 datagrams is
lost), early enough that the answer to the last has half the window for its leisure."""

MAX_SIGHTINGS_A_HOST = 64
"""Nodes of one machine, so that one liar can't fill the look around with its inventions."""

MAX_ANSWERS_WAITING = 64
"""Askers whose leisure runs; at half a second each this also bounds what forged questions can make us send."""

TOKEN_BYTES = 8
"""The most that CoAP allows: the only thing that an answer must know to be believed."""


class LookAround:
    """One look around: `sightings` yields until `window_ms` are over or `close` was called."""

    def __init__(
        self, settings: CoapSettings, counters: Counters, is_ours: Callable[[Announcement, Peer], bool]
    ) -> None:
        self._port = settings.discovery_port
        self._is_ours = is_ours
        self._loop = asyncio.get_running_loop()
        self._token = secrets.token_bytes(TOKEN_BYTES)
        self._found: deque[Sighting] = deque()
        self._seen: set[tuple[str, Announcement]] = set()
        self._hosts: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._closed = False
        self._askers = _opened(settings, counters, self._received)

    async def sightings(self, window_ms: int) -> AsyncGenerator[Sighting, None]:
        start_s = self._loop.time()
        end_s = start_s + window_ms / 1000
        moments = [start_s + window_ms * permille / 1_000_000 for permille in ASKED_AT_PERMILLE]
        timers = [self._loop.call_at(moment, self._ask) for moment in moments]
        try:
            while not self._closed and self._loop.time() < end_s:
                await self._wait(end_s)
                while self._found:
                    yield self._found.popleft()
        finally:
            for timer in timers:
                timer.cancel()
            self.close()

    def close(self) -> None:
        """End it now; idempotent."""
        self._closed = True
        self._news.set()
        for _, asker in self._askers:
            asker.close()

    async def _wait(self, end_s: float) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout_at(end_s):
                await self._news.wait()
        except TimeoutError:
            return

    def _ask(self) -> None:
        for path, asker in self._askers:
            question = Packet(
                Kind.NON_CONFIRMABLE,
                Code.GET,
                secrets.randbelow(1 << 16),
                self._token,
                path=WELL_KNOWN_CORE,
                query=(f"rt={RESOURCE_TYPE}",),
            )
            try:
                asker.send(encode(question), path.destination(self._port))
            except Unreachable:
                continue  # this interface lost its network; the others are asked

    def _received(self, datagram: bytes, peer: Peer, _via: Via | None) -> None:
        answer = decode(datagram)
        if answer is None or answer.kind is not Kind.NON_CONFIRMABLE or answer.code != Code.CONTENT:
            return
        if answer.token != self._token or answer.has_unknown_critical:
            return
        if answer.content_format == LINK_FORMAT:
            for offered in parse(answer.payload):
                self._take(offered, peer)

    def _take(self, offered: Offered, peer: Peer) -> None:
        """A node may name another port of the host that answered, never another host: an answer can't send everybody
        who looks around to a victim."""
        at = Peer(peer.host, offered.port, peer.scope)
        key = (str(at), offered.announcement)
        if offered.host != peer.host or key in self._seen or self._is_ours(offered.announcement, at):
            return
        if len(self._seen) >= MAX_SIGHTINGS or self._hosts[peer.host] >= MAX_SIGHTINGS_A_HOST:
            return
        self._seen.add(key)
        self._hosts[peer.host] += 1
        heard_at_ms = int(self._loop.time() * 1000)
        self._found.append(Sighting(BEARER, str(at), offered.announcement, heard_at_ms))
        self._news.set()


class Beacon:
    """Answers questions to the groups from the node's own port, after a random leisure (RFC 7252, 8.2)."""

    def __init__(
        self,
        settings: CoapSettings,
        endpoint: Endpoint,
        own: Peer,
        counters: Counters,
        shown: Callable[[], Announcement | None],
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._own = own
        self._counters = counters
        self._shown = shown
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[Path, UdpSocket] = {}
        self._waiting: dict[Peer, asyncio.TimerHandle] = {}

    def listen(self) -> None:
        """Listen wherever the groups can be heard now; again, it follows the interfaces that came and went. Raises
        LocalTransportError."""
        present = paths(self._settings)
        for path in set(self._listeners) - set(present):
            self._listeners.pop(path).close()
        for path in present:
            if path in self._listeners:
                continue
            sock = open_listener(path, self._settings.discovery_port)
            if sock is not None:
                self._listeners[path] = UdpSocket(sock, self._counters)
                self._listeners[path].start(self._received)

    def close(self) -> None:
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def _received(self, datagram: bytes, peer: Peer, _via: Via | None) -> None:
        announcement = self._shown()
        if announcement is None or peer in self._waiting or len(self._waiting) >= MAX_ANSWERS_WAITING:
            return
        question = decode(datagram)
        if question is None or not _is_question(question) or not matches(question.query, announcement):
            return
        leisure_s = secrets.randbelow(1 + self._settings.leisure_ms) / 1000
        self._waiting[peer] = self._loop.call_later(leisure_s, self._answer, question, peer)

    def _answer(self, question: Packet, peer: Peer) -> None:
        del self._waiting[peer]
        announcement, at = self._shown(), self._address_towards(peer)
        if announcement is None or at is None:
            return
        answer = Packet(
            Kind.NON_CONFIRMABLE,
            Code.CONTENT,
            self._endpoint.new_mid(peer),
            question.token,
            compose(announcement, at).encode(),
            content_format=LINK_FORMAT,
        )
        self._endpoint.send(answer, peer)

    def _address_towards(self, peer: Peer) -> Peer | None:
        """Ours as the asker will see it."""
        if not self._endpoint.reaches(peer):
            return None
        if self._own.host not in ("::", "0.0.0.0"):  # noqa: S104 - compared, not bound
            return self._own
        host = source_towards(peer)
        return None if host is None else Peer(host, self._own.port)


def _is_question(packet: Packet) -> bool:
    """A multicast request is never confirmable (RFC 7252, 8.1)."""
    return (
        packet.kind is Kind.NON_CONFIRMABLE
        and packet.code == Code.GET
        and packet.path == WELL_KNOWN_CORE
        and packet.accept in (None, LINK_FORMAT)
        and not packet.has_unknown_critical
    )


def _opened(settings: CoapSettings, counters: Counters, received: Received) -> list[tuple[Path, UdpSocket]]:
    askers = []
    for path in paths(settings):
        sock = open_asker(path, settings)
        if sock is not None:
            asker = UdpSocket(sock, counters)
            asker.start(received)
            askers.append((path, asker))
    return askers
