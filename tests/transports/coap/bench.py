"""Nodes on this machine's loopback, on a discovery port of their own so that no two test runs hear each other."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.contract.transport_contract import Peer, badge
from transports.coap import CoapSettings, CoapTransport, Pace
from transports.coap.address import TRADE_PATH
from transports.coap.packet import Code, Kind, Packet, decode, encode
from transports.interface import Link, Transport

QUICK = Pace(first_wait_ms=50, spread_permille=500, patience_ms=3_000)
"""Loopback answers at once; what is lost there was meant to be."""


def free_port() -> int:
    """A UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class LoopbackBench:
    """A `Bench` of the contract. Nodes announce themselves, as a node that strangers may dial does."""

    discovery_port: int = field(default_factory=free_port)
    ports: dict[str, int] = field(default_factory=dict)

    def settings(self, name: str) -> CoapSettings:
        port = self.ports.setdefault(name, free_port())
        return CoapSettings(loopback=True, port=port, discovery_port=self.discovery_port, pace=QUICK)

    def coap(self, name: str) -> CoapTransport:
        return CoapTransport(self.settings(name))

    def transport(self, name: str) -> Transport:
        transport = self.coap(name)
        transport.announce(badge())
        return transport

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"


class Stranger:
    """A program of somebody else's: a bare UDP socket on loopback, closed with its context."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.bytes_sent = 0
        self.bytes_received = 0

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def send(self, what: Packet | bytes, port: int, host: str = "127.0.0.1") -> None:
        datagram = what if isinstance(what, bytes) else encode(what)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        self.bytes_sent += self._socket.sendto(datagram, (host, port))

    async def receive(self, within_ms: int = 2_000) -> tuple[bytes, int]:
        """The next datagram and the port that it came from."""
        async with asyncio.timeout(within_ms / 1000):
            datagram, sender = await asyncio.get_running_loop().sock_recvfrom(self._socket, 2_048)
        self.bytes_received += len(datagram)
        return datagram, sender[1]

    async def hears(self, within_ms: int = 2_000) -> Packet:
        """The next datagram, which must be CoAP."""
        packet = decode((await self.receive(within_ms))[0])
        assert packet is not None
        return packet

    async def hears_nothing(self, within_ms: int) -> bool:
        try:
            await self.receive(within_ms)
        except TimeoutError:
            return True
        return False


def post(mid: int, frame: bytes = b"", *, kind: Kind = Kind.CONFIRMABLE) -> Packet:
    """A request to the trade resource under a token of its own."""
    return Packet(kind, Code.POST, mid, b"tok%d" % mid, frame, path=(TRADE_PATH,))


def fetch(mid: int, frame: bytes, observe: int | None = 0) -> Packet:
    """A subscription, or with 1 its end, under one token."""
    return Packet(Kind.CONFIRMABLE, Code.FETCH, mid, b"view", frame, path=(TRADE_PATH,), observe=observe)


def core(mid: int, *query: str, kind: Kind = Kind.NON_CONFIRMABLE) -> Packet:
    """The question for resources."""
    return Packet(kind, Code.GET, mid, b"core", path=(".well-known", "core"), query=query)


@dataclass(frozen=True, slots=True)
class Node:
    """A serving node, and its handler, which echoes (see the contract's `Peer`)."""

    transport: CoapTransport
    port: int
    handler: Peer


@asynccontextmanager
async def serving(settings: CoapSettings, *, announced: bool = True) -> AsyncIterator[Node]:
    """One node, announced or as secret as its owner wants it."""
    transport, handler = CoapTransport(settings), Peer()
    async with transport.serving(handler):
        if announced:
            transport.announce(badge())
        yield Node(transport, int(transport.address.rpartition(":")[2]), handler)


@asynccontextmanager
async def dialled(bench: LoopbackBench, stranger: Stranger) -> AsyncIterator[tuple[Link, int]]:
    """A link to a stranger, and the port that its answers go to."""
    async with serving(bench.settings("a")) as node:
        yield await node.transport.dial(stranger.address), node.port


def answer_to(request: Packet, payload: bytes = b"", code: Code = Code.CHANGED) -> Packet:
    return Packet(Kind.ACKNOWLEDGEMENT, code, request.mid, request.token, payload)
