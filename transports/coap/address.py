"""Addresses of peers: the text that people and sightings carry, and what a socket wants."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from transports.errors import LocalTransportError

TRADE_PATH = "t"
"""The one resource of a node. Its name is all that a request spends on addressing: two bytes."""

MAX_ADDRESS_CHARS = 128
"""The longest IPv6 address with a zone, brackets, port, scheme and path has 84 characters."""

_FORM = re.compile(
    rf"(?:coap://)?(?:\[(?P<six>[0-9A-Fa-f:.]+)(?:%(?:25)?(?P<zone>[0-9A-Za-z_.\-]+))?\]|(?P<four>[0-9.]+))"
    rf":(?P<port>[0-9]{{1,5}})(?:/(?:{TRADE_PATH})?)?"
)


class InvalidAddress(LocalTransportError):
    """The text names no CoAP node that we could dial."""

    code = "coap_address"


@dataclass(frozen=True, slots=True)
class Peer:
    """One UDP endpoint. host: numeric; scope: the interface's index for link-local IPv6, otherwise 0."""

    host: str
    port: int
    scope: int = 0

    def __str__(self) -> str:
        if ":" not in self.host:
            return f"{self.host}:{self.port}"
        zone = f"%{_interface_name(self.scope)}" if self.scope else ""
        return f"[{self.host}{zone}]:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host

    def sockaddr(self, family: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address as a socket of `family` takes it; IPv4 is mapped into an IPv6 socket (RFC 4291, 2.5.5.2)."""
        if family == socket.AF_INET:
            return (self.host, self.port)
        host = self.host if self.is_ipv6 else f"::ffff:{self.host}"
        return (host, self.port, 0, self.scope)

    @classmethod
    def of(cls, sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> "Peer":
        """From what a socket reported."""
        host, port = sockaddr[0].partition("%")[0], sockaddr[1]
        if host.startswith("::ffff:") and "." in host:
            return cls(host.removeprefix("::ffff:"), port)
        return cls(host, port, sockaddr[3] if len(sockaddr) == 4 else 0)


def parse_address(text: str) -> Peer:
    """The peer that `127.0.0.1:5701`, `[fe80::1%eth0]:5701` or `coap://192.0.2.7:5701/t` names.

    Numeric addresses only, always with a port: a node has a port of its own, so none can be guessed. Raises
    InvalidAddress with a sentence for the person who typed it.
    """
    form = _FORM.fullmatch(text) if len(text) <= MAX_ADDRESS_CHARS else None
    if form is None:
        raise InvalidAddress("an address looks like 192.0.2.7:5701, [fe80::1%eth0]:5701 or coap://192.0.2.7:5701")
    port = int(form["port"])
    if not 1 <= port <= 65_535:
        raise InvalidAddress(f"port {port} does not exist: it is 1 to 65,535")
    return Peer(*_host(form["six"] or form["four"], form["zone"], port))


def _host(host: str, zone: str | None, port: int) -> tuple[str, int, int]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise InvalidAddress(f"{host} is no IPv4 or IPv6 address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_unspecified or address == ipaddress.IPv4Address("255.255.255.255"):
        raise InvalidAddress(f"{host} is not the address of one node")
    if address.version == 6 and address.is_link_local:
        if zone is None:
            raise InvalidAddress(f"{host} needs its interface, as in [{host}%eth0]:{port}")
        return str(address), port, _interface_index(zone)
    if zone is not None:
        raise InvalidAddress(f"{host} takes no interface: only fe80:: addresses do")
    return str(address), port, 0


def _interface_index(zone: str) -> int:
    if zone.isdecimal():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise InvalidAddress(f"this machine has no interface named {zone}") from None


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)
