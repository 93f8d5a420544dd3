"""libp2p nodes on loopback."""

import hashlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.contract.transport_contract import badge
from transports.interface import Transport
from transports.libp2p.host import peer_id_of
from transports.libp2p.library import Swarm
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.sockets import Sockets
from transports.libp2p.transport import Libp2pTransport

T = TypeVar("T")


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def seed_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@dataclass
class LoopbackBench:
    """A `Bench` of the contract: `a`, `b` and `c` know of each other from the start."""

    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in "abc"})

    def settings(self, name: str) -> Libp2pSettings:
        known = tuple(self.address(other) for other in self.ports)
        return Libp2pSettings(host="127.0.0.1", port=self.ports[name], seed=seed_of(name), bootstrap=known)

    def libp2p(self, name: str) -> Libp2pTransport:
        return Libp2pTransport(self.settings(name))

    def transport(self, name: str) -> Transport:
        transport = self.libp2p(name)
        transport.announce(badge())
        return transport

    def address(self, name: str) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.ports[name]}/p2p/{peer_id_of(seed_of(name))}"


def sockets_of(node: Libp2pTransport) -> Sockets:
    """To be looked at only: they belong to the trio side."""
    host = node._running().lives.host
    assert host is not None
    return host._running()[0]


async def on_host(node: Libp2pTransport, look: Callable[[Swarm], T]) -> T:
    """See what is so on the node's trio side."""
    bridge, host = node._running().lives.bridge, node._running().lives.host
    assert bridge is not None
    assert host is not None
    swarm = host._running()[1].get_network()
    assert isinstance(swarm, Swarm)

    async def looking() -> T:
        return look(swarm)

    return await bridge.call(looking)


class Fault(Exception):
    pass


def kill(node: Libp2pTransport) -> None:
    """An error that nothing on the trio side expects."""

    async def fail() -> None:
        raise Fault

    bridge = node._running().lives.bridge
    assert bridge is not None
    assert bridge.to_trio(bridge.spawn, fail)
