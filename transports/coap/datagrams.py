"""UDP sockets that count, answer from the address they were asked at, and never block."""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from transports.coap.address import Peer
from transports.coap.packet import MAX_DATAGRAM_BYTES
from transports.coap.settings import CoapSettings
from transports.errors import LocalTransportError

MAX_DATAGRAMS_A_TURN = 64
"""Read in one turn of the event loop, so that a flood can't keep it from its timers."""

IP_PKTINFO = 8
IP_MULTICAST_ALL = 49
IPV6_MULTICAST_ALL = 29
# Linux's numbers (linux/in.h, linux/in6.h), which Python's socket module lacks.

_ANCILLARY_BYTES = 128
_PASSING = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR})

Via = tuple[int, int, bytes]
"""Which of our addresses a datagram came to, as the control message that makes an answer leave from there."""

Received = Callable[[bytes, Peer, "Via | None"], None]


class PortTaken(LocalTransportError):
    """Another program holds the UDP port."""

    code = "coap_port_taken"


class Unreachable(Exception):
    """The system has no way to the peer; the sentence is the system's."""


@dataclass(slots=True)
class Counters:
    """UDP payload that this bearer carried, all its sockets together."""

    bytes_sent: int = 0
    bytes_received: int = 0


class UdpSocket:
    """A bound UDP socket in the event loop. `received` gets each datagram that is not oversized."""

    def __init__(self, sock: socket.socket, counters: Counters) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._received: Received | None = None

    @property
    def local(self) -> Peer:
        return Peer.of(self._socket.getsockname())

    @property
    def family(self) -> int:
        return self._socket.family

    def reaches(self, peer: Peer) -> bool:
        """Whether the peer's family can be written on this socket at all."""
        if self._socket.family == socket.AF_INET:
            return not peer.is_ipv6
        return peer.is_ipv6 or self.local.host == "::"

    def start(self, received: Received) -> None:
        self._received = received
        self._loop.add_reader(self._socket.fileno(), self._read)

    def send(self, datagram: bytes, peer: Peer, via: Via | None = None) -> None:
        """Send or lose it, as UDP does; raises Unreachable when the system says that it can't work."""
        if self._socket.fileno() < 0:
            raise Unreachable("the bearer is closed")
        try:
            self._socket.sendmsg([datagram], [via] if via else [], 0, peer.sockaddr(self._socket.family))
        except OSError as error:
            if error.errno in _PASSING:
                return
            raise Unreachable(error.strerror or str(error)) from error
        self._counters.bytes_sent += len(datagram)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        for _ in range(MAX_DATAGRAMS_A_TURN):
            if self._socket.fileno() < 0:  # closed by what the last datagram set off
                return
            try:
                datagram, ancillary, flags, sender = self._socket.recvmsg(MAX_DATAGRAM_BYTES + 1, _ANCILLARY_BYTES)
            except OSError:  # nothing left, or an ICMP error of an earlier datagram: not ours to keep
                return
            self._counters.bytes_received += len(datagram)
            if self._received is not None and not flags & socket.MSG_TRUNC and len(datagram) <= MAX_DATAGRAM_BYTES:
                self._received(datagram, Peer.of(sender), _via(ancillary))


def _via(ancillary: list[tuple[int, int, bytes]]) -> Via | None:
    """The received packet's own destination, with the interface left to the routes (an index would pin it)."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) == 12:
            return level, kind, struct.pack("=i", 0) + data[4:]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) == 20:
            return level, kind, data[:16] + struct.pack("=i", 0)
    return None


def has_ipv6() -> bool:
    """Whether this machine's kernel speaks IPv6 now."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def open_own(settings: CoapSettings) -> socket.socket:
    """The node's own port, held by nobody else: without SO_REUSEADDR and SO_REUSEPORT, binding fails where another
    program has it, where sharing would silently split the traffic between both. Raises PortTaken and
    LocalTransportError."""
    host = settings.serving_host
    if host == "::" and not has_ipv6():
        host = "0.0.0.0"  # noqa: S104 - a node serves its neighbours; who may is decided by visibility
    sock = None
    try:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        _tell_destinations(sock, host)
        sock.bind((host, settings.port))
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _explained(error, host, settings.port) from error
    return sock


def _tell_destinations(sock: socket.socket, host: str) -> None:
    if host == "0.0.0.0":  # noqa: S104 - compared, not bound
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
    if host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def _explained(error: OSError, host: str, port: int) -> LocalTransportError:
    where = f"UDP port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"{where} is taken by another program: stop it, or choose another port")
    if error.errno == errno.EACCES:
        return LocalTransportError(f"{where} needs more rights: choose a port above 1023")
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return LocalTransportError(f"this machine doesn't have the address {host}: choose one that `ip address` shows")
    return LocalTransportError(f"{where} can't be opened: {error.strerror or error}")


def source_towards(peer: Peer) -> str | None:
    """Our address as `peer` sees it when the system chooses; None when there is no way to it. Sends nothing."""
    family = socket.AF_INET6 if peer.is_ipv6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(peer.sockaddr(family))
            return Peer.of(sock.getsockname()).host
    except OSError:
        return None
