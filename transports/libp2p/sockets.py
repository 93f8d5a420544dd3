"""TCP for py-libp2p, with sockets of our own: counted, bounded, and closed when the host stops, whatever the library
does with them.

The library's own listener is not used for a second reason: a connection that was accepted keeps its place among the
allowed ones until the host stops, even when it was closed long ago. Here its handler ends with it.
"""

import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from transports.errors import LocalTransportError
from transports.libp2p.address import endpoint
from transports.libp2p.library import (
    ConnectionClosedError,
    IListener,
    IRawConnection,
    ITransport,
    Multiaddr,
    OpenConnectionError,
    RawConnection,
    ReadWriteCloser,
    THandler,
)
from transports.rates import SourceRates

MAX_CONNECTIONS = 128
"""Sockets at once, of both directions; a microgrid has some dozens of members. One more is closed unread."""
MAX_CONNECTIONS_A_SOURCE = MAX_CONNECTIONS // 4
"""Accepted from one network (see `network_of`), which may hold as many keys as it likes."""
TAKE_S = 5
"""How long a peer may take nothing of what we write, when the kernel keeps no more of it for him."""
MAX_UNPROVEN_BYTES = 16_384
"""What a connection may bring before its peer has proven a key: the Noise handshake and two choices of a protocol have
under 1 KiB."""
SILENT_S = 20
"""How long a peer may be gone without a word (a cable pulled, a car that drove off) until its connection counts as
lost. Nothing else would end it for a quarter of an hour, and a peer that is back under another address would be looked
for in it."""
BACKLOG = 64
"""Connections that the kernel keeps for us."""
ACCEPTS_BURST, ACCEPT_REFILL_MS, ACCEPT_SOURCES = 32, 100, 256
"""Connections from one host: every one costs us a Noise handshake, some milliseconds."""


class PortTaken(LocalTransportError):
    """Another program listens there, or we may not."""

    code = "libp2p_port"


@dataclass(slots=True)
class Counters:
    """Bytes of all sockets, with what Noise, yamux, identify and gossip add to our frames."""

    bytes_sent: int = 0
    bytes_received: int = 0


class CountedStream(ReadWriteCloser):
    """One TCP connection as the library wants it."""

    def __init__(self, stream: trio.SocketStream, sockets: "Sockets", *, accepted: bool) -> None:
        self.accepted = accepted
        self._stream = stream
        self._sockets = sockets
        self._reading, self._writing = trio.Lock(), trio.Lock()
        _notice_death(stream.socket)
        name = stream.socket.getpeername()
        self._remote = (str(name[0]), int(name[1]))
        self.network = network_of(self._remote[0])
        self._unproven_left = MAX_UNPROVEN_BYTES
        self.proven = False
        self.closed = trio.Event()
        sockets.open.add(self)

    async def read(self, n: int | None = None) -> bytes:
        if n == 0:
            return b""
        async with self._reading:
            try:
                data = bytes(await self._stream.receive_some(n))
            except trio.BrokenResourceError:
                raise ConnectionClosedError("the connection was reset", transport="tcp") from None
            except trio.ClosedResourceError:
                return b""
        self._sockets.counters.bytes_received += len(data)
        if not self.proven:
            self._unproven_left -= len(data)
            if self._unproven_left < 0:
                self.close_now()
                raise ConnectionClosedError("too much before the handshake was over", transport="tcp")
        return data

    async def write(self, data: bytes) -> None:
        """Shielded from cancelling: data is sealed, and after a part of it, or none, nothing else could be read."""
        try:
            with trio.fail_after(TAKE_S) as scope:
                scope.shield = True
                async with self._writing:
                    await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ConnectionClosedError("the connection is closed", transport="tcp") from None
        except trio.TooSlowError:
            self.close_now()
            raise ConnectionClosedError(f"the peer took nothing in {TAKE_S} s", transport="tcp") from None
        self._sockets.counters.bytes_sent += len(data)

    async def close(self) -> None:
        self.close_now()
        await trio.lowlevel.checkpoint()

    def close_now(self) -> None:
        """Idempotent."""
        self._stream.socket.close()
        self._sockets.open.discard(self)
        self.closed.set()

    def get_remote_address(self) -> tuple[str, int]:
        return self._remote


class Sockets(ITransport):
    """All TCP of one host."""

    def __init__(self, counters: Counters, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        self.counters = counters
        self.open: set[CountedStream] = set()
        self._listener = listener
        self._nursery = nursery
        self._accepts = SourceRates(burst=ACCEPTS_BURST, refill_ms=ACCEPT_REFILL_MS, sources=ACCEPT_SOURCES)
        host, self.port = listener.socket.getsockname()[:2]
        self.address = Multiaddr(endpoint(host, self.port))

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        family, host = _host(maddr)
        if len(self.open) >= MAX_CONNECTIONS:
            raise OpenConnectionError(f"{MAX_CONNECTIONS} connections are open already")
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            await sock.connect((host, int(maddr.value_for_protocol("tcp") or 0)))
            return RawConnection(CountedStream(trio.SocketStream(sock), self, accepted=False), True)
        except OSError as problem:
            sock.close()
            raise OpenConnectionError(f"{maddr}: {problem.strerror}") from problem
        except BaseException:
            sock.close()
            raise

    def create_listener(self, handler_function: THandler) -> IListener:
        return Listener(self, handler_function)

    def can_dial(self, maddr: Multiaddr) -> bool:
        return [protocol.name for protocol in maddr.protocols()][:2] in (["ip4", "tcp"], ["ip6", "tcp"])

    can_listen = can_dial

    def protocols(self) -> list[str]:
        return ["tcp"]

    def proven(self, remote: tuple[str, int] | None) -> None:
        """The peer at the other end of that connection has proven a key."""
        for stream in self.open:
            if stream.get_remote_address() == remote:
                stream.proven = True

    def has(self, remote: tuple[str, int] | None) -> bool:
        """Whether a connection to that endpoint is open."""
        return any(stream.get_remote_address() == remote for stream in self.open)

    def accept(self, handler: THandler) -> None:
        """Begin to take connections."""
        self._nursery.start_soon(self._serve, handler)

    def close_now(self) -> None:
        """Every socket."""
        self._listener.socket.close()
        for stream in list(self.open):
            stream.close_now()

    async def _serve(self, handler: THandler) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    stream = await self._listener.accept()
                except trio.ClosedResourceError:
                    nursery.cancel_scope.cancel()
                    return
                except OSError:
                    await trio.sleep(0.1)  # no descriptors left: some will be closed
                    continue
                if not self._allowed(stream):
                    stream.socket.close()
                    continue
                nursery.start_soon(self._handle, CountedStream(stream, self, accepted=True), handler)

    def _allowed(self, stream: trio.SocketStream) -> bool:
        try:
            source = network_of(str(stream.socket.getpeername()[0]))
        except OSError:
            return False  # gone already
        taken = sum(other.accepted and other.network == source for other in self.open)
        if len(self.open) >= MAX_CONNECTIONS or taken >= MAX_CONNECTIONS_A_SOURCE:
            return False
        return self._accepts.allow(source, int(trio.current_time() * 1000))

    async def _handle(self, stream: CountedStream, handler: THandler) -> None:
        """The library's handler for one connection, for as long as that is open."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_closed, stream, nursery.cancel_scope)
            try:
                await handler(stream)
            finally:
                stream.close_now()


class Listener(IListener):
    """The library's view of the socket that we listen on, which is bound before the library hears of it."""

    def __init__(self, sockets: Sockets, handler: THandler) -> None:
        self._sockets = sockets
        self._handler = handler

    async def listen(self, maddr: Multiaddr) -> None:
        self._sockets.accept(self._handler)
        await trio.lowlevel.checkpoint()

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        return (self._sockets.address,)

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def opened(host: str, port: int, counters: Counters) -> AsyncIterator[Sockets]:
    """Listen on a TCP port, 0 for any free one; at the end every socket is closed. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(trio.socket.socket(family, socket.SOCK_STREAM)) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await sock.bind((host, port))
            sock.listen(BACKLOG)
        except OSError as problem:
            raise PortTaken(f"can't listen on {host}, TCP port {port}: {problem.strerror}") from None
        async with trio.open_nursery() as nursery:
            sockets = Sockets(counters, trio.SocketListener(sock), nursery)
            try:
                yield sockets
            finally:
                sockets.close_now()
                nursery.cancel_scope.cancel()


async def _until_closed(stream: CountedStream, scope: trio.CancelScope) -> None:
    await stream.closed.wait()
    scope.cancel()


def _notice_death(sock: trio.socket.SocketType) -> None:
    """Ask a silent peer whether it is there, and give up on one that acknowledges nothing, within `SILENT_S`."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": SILENT_S // 2,
        "TCP_KEEPINTVL": SILENT_S // 8,
        "TCP_KEEPCNT": 4,
        "TCP_USER_TIMEOUT": SILENT_S * 1_000,
    }
    for name, value in wanted.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has them all
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def network_of(host: str) -> str:
    """What one machine can speak from at will, as a text: an IPv4 address, or an IPv6 network of 64 bits."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 6:
        if address.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
        return str(address.ipv4_mapped)
    return str(address)


def _host(maddr: Multiaddr) -> tuple[int, str]:
    if maddr.protocols()[0].name == "ip6":
        return socket.AF_INET6, str(maddr.value_for_protocol("ip6"))
    return socket.AF_INET, str(maddr.value_for_protocol("ip4"))
