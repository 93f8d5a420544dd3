"""CoAP's message layer on one UDP port (RFC 7252, section 4): confirmable messages sent again until they are
acknowledged, answers given to whoever waits for their token, everything else dropped.

aiocoap's own managers are not used: they acknowledge a request before its handler chose silence, remember every
message of every stranger without bound, let one unanswered request hold up and then fail all others to the same peer,
and need IPv6 sockets. Its codec is (see `packet`).
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from transports.coap.address import Peer
from transports.coap.datagrams import UdpSocket, Unreachable, Via
from transports.coap.packet import TOKEN_BYTES, Kind, Packet, decode, empty, encode
from transports.coap.round_trips import Heard, RoundTrips, waits_ms
from transports.coap.settings import Pace
from transports.coap.shelf import Shelf

MAX_FORGOTTEN = 256
"""Observations that we left and whose acceptor may not know yet."""

FORGOTTEN_KEEP_MS = 600_000
"""Ten periods of the slowest status (60 s): by then an acceptor has sent a confirmed one and been told."""


class Listener(Protocol):
    """Who waits for the responses of one peer under one token."""

    def heard(self, packet: Packet) -> None: ...

    def lost(self, why: str) -> None:
        """Nothing will be heard any more."""
        ...


class Acceptor(Protocol):
    """Who takes what is not an answer."""

    def request(self, packet: Packet, peer: Peer, via: Via | None) -> None: ...

    def reset(self, peer: Peer, mid: int) -> None:
        """The peer doesn't want the message that we sent under `mid`."""
        ...


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a confirmable message: exactly one of these is called, unless it is stopped before.

    newer: what to send instead of repeating the old, if there is something.
    """

    acknowledged: Callable[[], None]
    failed: Callable[[str], None]
    newer: Callable[[], Packet | None] = lambda: None


class Attempt:
    """One confirmable message on its way to one peer."""

    def __init__(self, endpoint: "Endpoint", peer: Peer, via: Via | None, fate: Fate, *, awaited: bool) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._via = via
        self._fate = fate
        self._awaited = awaited
        self._waits_ms = endpoint.waits_ms(peer)
        self._ends_at_ms = endpoint.now_ms() + endpoint.patience_ms
        self._timer: asyncio.TimerHandle | None = None
        self._mid: int | None = None
        self._datagram = b""
        self._copies = 0
        self._first_at_ms = self._last_at_ms = 0

    def start(self, packet: Packet) -> None:
        self._take(packet)
        self._transmit()

    def acknowledge(self) -> None:
        if self.stop():
            now_ms = self._endpoint.now_ms()
            heard = Heard(now_ms - self._first_at_ms, now_ms - self._last_at_ms, self._copies)
            self._endpoint.round_trips.answered(self._peer, heard, now_ms)
            self._fate.acknowledged()

    def fail(self, why: str) -> None:
        if self.stop():
            self._fate.failed(why)

    def stop(self) -> bool:
        """End it; False when it had ended before."""
        if self._mid is None:
            return False
        self._endpoint.attempts.pop((self._peer, self._mid), None)
        self._mid = None
        if self._timer is not None:
            self._timer.cancel()
        return True

    def _take(self, packet: Packet) -> None:
        if self._mid is not None:
            self._endpoint.attempts.pop((self._peer, self._mid), None)
        self._mid, self._datagram = packet.mid, encode(packet)
        self._copies, self._first_at_ms = 0, self._endpoint.now_ms()
        self._endpoint.attempts[self._peer, self._mid] = self

    def _transmit(self) -> None:
        self._copies, self._last_at_ms = self._copies + 1, self._endpoint.now_ms()
        try:
            self._endpoint.transmit(self._datagram, self._peer, self._via)
        except Unreachable as error:
            if self._awaited:
                self.fail(str(error))
                return
        wait_ms = next(self._waits_ms)
        if not self._awaited:
            wait_ms = min(wait_ms, self._ends_at_ms - self._endpoint.now_ms())
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self._waited)

    def _waited(self) -> None:
        if not self._awaited and self._endpoint.now_ms() >= self._ends_at_ms:
            self.fail("no acknowledgement came")
            return
        newer = self._fate.newer()
        if newer is not None:
            self._take(newer)
        self._transmit()


class Endpoint:
    """One UDP port that asks and answers."""

    def __init__(self, sock: UdpSocket, pace: Pace) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._pace = pace
        self.round_trips = RoundTrips(pace.first_wait_ms)
        self._mid = secrets.randbelow(1 << 16)
        self.attempts: dict[tuple[Peer, int], Attempt] = {}
        self._listeners: dict[tuple[Peer, bytes], Listener] = {}
        self._forgotten: Shelf[tuple[Peer, bytes], None] = Shelf(places=MAX_FORGOTTEN, keep_ms=FORGOTTEN_KEEP_MS)
        self._acceptor: Acceptor | None = None

    @property
    def closed(self) -> bool:
        return self._acceptor is None

    def open(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        self._socket.start(self._received)

    def close(self) -> None:
        """End what is under way and release the port."""
        self._acceptor = None
        for attempt in list(self.attempts.values()):
            attempt.stop()
        for listener in list(self._listeners.values()):
            listener.lost("the bearer was closed")
        self._socket.close()

    def now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def reaches(self, peer: Peer) -> bool:
        return self._socket.reaches(peer)

    def new_mid(self, peer: Peer) -> int:
        """The next message id, never one under which a message to `peer` still waits for its acknowledgement. All
        peers draw from one sequence, so that it takes 65,536 messages until one comes round."""
        self._mid = (self._mid + 1) & 0xFFFF
        while (peer, self._mid) in self.attempts:  # ends: a peer has a few dozen under way at most
            self._mid = (self._mid + 1) & 0xFFFF
        return self._mid

    def new_token(self, peer: Peer) -> bytes:
        """A token that nobody can guess and that is not in use with this peer."""
        while (peer, token := secrets.token_bytes(TOKEN_BYTES)) in self._listeners:
            pass
        return token

    def send(self, packet: Packet, peer: Peer, via: Via | None = None) -> None:
        """Send it once; what can't be sent is lost, as on any network."""
        self.repeat(encode(packet), peer, via)

    def repeat(self, datagram: bytes, peer: Peer, via: Via | None) -> None:
        """The same for a message that is encoded already."""
        with contextlib.suppress(Unreachable):
            self.transmit(datagram, peer, via)

    def transmit(self, datagram: bytes, peer: Peer, via: Via | None) -> None:
        """Raises Unreachable."""
        self._socket.send(datagram, peer, via)

    def confirm(
        self, packet: Packet, peer: Peer, fate: Fate, *, via: Via | None = None, awaited: bool = False
    ) -> Attempt:
        """Send a confirmable message until it is acknowledged.

        awaited: somebody waits for it with a deadline of their own. Then it is repeated until they stop it, and fails
        at once when the system knows no way to the peer. Otherwise it is given up after `patience_ms`, by when a way
        may have come back.
        """
        attempt = Attempt(self, peer, via, fate, awaited=awaited)
        attempt.start(packet)
        return attempt

    def listen(self, peer: Peer, token: bytes, listener: Listener) -> None:
        """Give `listener` every response of `peer` with `token`, until `unlisten`."""
        self._listeners[peer, token] = listener

    def unlisten(self, peer: Peer, token: bytes, *, refuse: bool = False) -> None:
        """Stop listening. refuse: answer what still comes with a reset, so that the peer stops sending."""
        self._listeners.pop((peer, token), None)
        if refuse:
            self._forgotten.put((peer, token), None, self.now_ms())

    @property
    def patience_ms(self) -> int:
        """How long a message is repeated for which nobody has a deadline."""
        return self._pace.patience_ms

    def waits_ms(self, peer: Peer) -> Iterator[int]:
        """The waits after each copy of one message to `peer`, by its round trips so far and a little chance, which
        keeps apart those that lost their messages in the same collision."""
        wait_ms = self.round_trips.wait_ms(peer, self.now_ms())
        return waits_ms(wait_ms + secrets.randbelow(1 + wait_ms * self._pace.spread_permille // 1000))

    def _received(self, datagram: bytes, peer: Peer, via: Via | None) -> None:
        packet = decode(datagram)
        if packet is None or self._acceptor is None:
            return
        if packet.kind is Kind.RESET:
            self._reset(packet, peer)
        elif packet.is_request:
            if packet.kind is not Kind.ACKNOWLEDGEMENT:
                self._acceptor.request(packet, peer, via)
        elif packet.is_response or packet.kind is Kind.ACKNOWLEDGEMENT:
            self._answered(packet, peer, via)

    def _reset(self, packet: Packet, peer: Peer) -> None:
        if packet.code:
            return
        attempt = self.attempts.get((peer, packet.mid))
        if attempt is not None:
            attempt.fail("the peer refused the message")
        elif self._acceptor is not None:
            self._acceptor.reset(peer, packet.mid)

    def _answered(self, packet: Packet, peer: Peer, via: Via | None) -> None:
        key = (peer, packet.token)
        listener = self._listeners.get(key) if packet.is_response and not packet.has_unknown_critical else None
        if packet.kind is Kind.ACKNOWLEDGEMENT:
            self._acknowledged(packet, peer, listener is not None)
        elif listener is not None and packet.kind is Kind.CONFIRMABLE:
            self.send(empty(Kind.ACKNOWLEDGEMENT, packet.mid), peer, via)
        elif listener is None and self._forgotten.holds(key, self.now_ms()):
            self.send(empty(Kind.RESET, packet.mid), peer, via)
        if listener is not None:
            listener.heard(packet)

    def _acknowledged(self, packet: Packet, peer: Peer, wanted: bool) -> None:
        attempt = self.attempts.get((peer, packet.mid))
        if attempt is not None and (wanted or not packet.code):
            attempt.acknowledge()
