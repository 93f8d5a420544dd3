"""How a node takes part in CoAP: where it listens, where it looks around, and how patiently."""

import ipaddress
from dataclasses import dataclass, field

from transports.coap.round_trips import MAX_WAIT_MS
from transports.errors import LocalTransportError

COAP_PORT = 5683
"""The port that RFC 7252 (12.6) gives to CoAP: shared by every node of a machine, for multicast only."""

IPV4_GROUP = "224.0.1.187"
"""All CoAP nodes (RFC 7252, 12.8)."""

IPV6_GROUP = "ff02::fd"
"""All CoAP nodes of this link (RFC 7252, 12.8): we trade with what is plugged in beside us, never across routers."""

LEISURE_MS = 500
"""Longest random wait before we answer a multicast question. RFC 7252 (8.2) computes it as size x group / rate:
an answer of 120 bytes, a car park of 50 nodes and 12,000 bytes a second of a shared radio give half a second. The
5 s that it names for nodes which know none of these would outlast a person's look around."""

LOOPBACK_LEISURE_MS = 20
"""On loopback nothing collides; a little randomness is kept so that the same code runs."""


class InvalidSettings(LocalTransportError):
    """The settings contradict themselves or name what this machine doesn't have."""

    code = "coap_settings"


@dataclass(frozen=True, slots=True)
class Pace:
    """How patiently a confirmable message is sent again; with each peer that answers, `round_trips` learns better.

    first_wait_ms: the first guess of a peer's answer time, before the second copy. The default is the shortest that
    repeats nothing in vain over 10 kbps with 300 ms each way, where the largest exchange of a set-up takes 1.1 s.
    spread_permille: each wait is longer by a random part of at most this. RFC 7252's 500 is for crowds that were all
    woken by one multicast; our answers to those have a leisure of their own.
    patience_ms: how long a message is repeated for which nobody waits with a deadline, a confirmed push; the default
    is RFC 7252's MAX_TRANSMIT_SPAN (4.8.2).
    """

    first_wait_ms: int = 1_200
    spread_permille: int = 250
    patience_ms: int = 45_000

    def __post_init__(self) -> None:
        if not 1 <= self.first_wait_ms <= MAX_WAIT_MS:
            raise InvalidSettings(f"first_wait_ms is 1 to {MAX_WAIT_MS:,} ms")
        if not 0 <= self.spread_permille <= 1_000:
            raise InvalidSettings("spread_permille is 0 to 1,000")
        if not 1 <= self.patience_ms <= 600_000:
            raise InvalidSettings("patience_ms is 1 to 600,000 ms")


@dataclass(frozen=True, slots=True)
class CoapSettings:
    """Where a node serves and looks around.

    host: the numeric address to serve on; None is every address of the machine (IPv6 and IPv4), or 127.0.0.1 with
    `loopback`. port: a UDP port of the node's own, 0 for any free one; never the shared 5683.
    interfaces: names to look around on; none means every one but loopback. groups: the multicast groups; none
    switches discovery off. loopback: stay inside this machine (IPv4 only: Linux has no IPv6 multicast on `lo`).
    discovery_port: the shared port; another one than 5683 makes a network of its own, for tests.
    """

    host: str | None = None
    port: int = 0
    interfaces: tuple[str, ...] = ()
    groups: tuple[str, ...] = (IPV6_GROUP, IPV4_GROUP)
    loopback: bool = False
    discovery_port: int = COAP_PORT
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise InvalidSettings("port is 0 (any free one) to 65,535")
        if not 1 <= self.discovery_port <= 65_535:
            raise InvalidSettings("discovery_port is 1 to 65,535")
        if self.port == self.discovery_port:
            raise InvalidSettings(f"port {self.port} is shared by all nodes for discovery: choose another one")
        self._check_host()
        for group in self.groups:
            if not _is_multicast(group):
                raise InvalidSettings(f"{group!r} is no multicast group")
        if self.loopback and self.interfaces:
            raise InvalidSettings("loopback and interfaces exclude each other")

    def _check_host(self) -> None:
        if self.host is None:
            return
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise InvalidSettings(f"{self.host!r} is no numeric IPv4 or IPv6 address") from None
        if address.is_multicast:
            raise InvalidSettings(f"{self.host} is a multicast group: nobody can serve there")
        if self.loopback and not address.is_loopback:
            raise InvalidSettings(f"{self.host} leaves this machine, which loopback forbids")

    @property
    def leisure_ms(self) -> int:
        """The longest wait before a multicast question is answered."""
        return LOOPBACK_LEISURE_MS if self.loopback else LEISURE_MS

    @property
    def serving_host(self) -> str:
        """The address to serve on; `::` stands for every address, IPv4 included where the machine has both."""
        return self.host or ("127.0.0.1" if self.loopback else "::")


def _is_multicast(group: str) -> bool:
    try:
        return ipaddress.ip_address(group).is_multicast
    except ValueError:
        return False
