"""Nodes on this machine's loopback, on a discovery port of their own so that no two test runs hear each other."""

import socket
from dataclasses import dataclass, field

from tests.contract.transport_contract import badge
from transports.coap import CoapSettings, CoapTransport, Pace
from transports.interface import Transport

QUICK = Pace(first_wait_ms=50, spread_permille=500, max_retransmit=5)
"""Loopback answers at once; a pusher learns within 2.4 s (50 ms x 1.5 x 63 at most 4.8 s) that its dialer left."""


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
