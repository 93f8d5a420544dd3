"""Where CoAP's multicast groups can be heard and asked: one path per group and interface."""

import errno
import socket
import struct
from dataclasses import dataclass

from transports.coap.address import Peer
from transports.coap.datagrams import IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, PortTaken, has_ipv6
from transports.coap.settings import CoapSettings, InvalidSettings

MAX_INTERFACES = 16
"""More are containers' and tunnels', not neighbours; bounds the sockets that we open."""

_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Path:
    """A multicast group on one interface."""

    group: str
    interface: str
    index: int

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.group

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if self.is_ipv6 else socket.AF_INET

    def destination(self, port: int) -> Peer:
        return Peer(self.group, port, self.index if self.is_ipv6 else 0)


def paths(settings: CoapSettings) -> list[Path]:
    """Every group on every interface that the settings allow and this machine has now. Raises InvalidSettings for an
    interface that doesn't exist."""
    present = {name: index for index, name in socket.if_nameindex()}
    for name in settings.interfaces:
        if name not in present:
            raise InvalidSettings(f"this machine has no interface {name}; it has {', '.join(sorted(present))}")
    names = [_LOOPBACK] if settings.loopback else settings.interfaces or sorted(set(present) - {_LOOPBACK})
    return [
        Path(group, name, present[name])
        for name in names[:MAX_INTERFACES]
        if name in present
        for group in settings.groups
        if _serves(settings, group)
    ]


def _serves(settings: CoapSettings, group: str) -> bool:
    """Whether a peer that was found through `group` could reach the address that we serve on."""
    host = settings.serving_host
    if ":" in group:
        return ":" in host and not settings.loopback and has_ipv6()
    return ":" not in host or host == "::"


def open_listener(path: Path, port: int) -> socket.socket | None:
    """A socket that hears only what is sent to the group on this interface, shared with every other node of this
    machine (Linux hands a multicast datagram to all of them). None where the interface can't take part now. Raises
    PortTaken when a program holds the port for itself."""
    sock = socket.socket(path.family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(path.destination(port).sockaddr(path.family))
        _join(sock, path)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"a program holds UDP port {port} for itself, where all CoAP nodes of a machine are discovered: "
                "stop it, or switch discovery off by an empty list of groups"
            ) from error
        return None
    return sock


def open_asker(path: Path, settings: CoapSettings) -> socket.socket | None:
    """A socket whose questions leave through this interface and cross no router. None where that can't be now."""
    sock = socket.socket(path.family, socket.SOCK_DGRAM)
    try:
        if path.is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, path.index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _at_interface(path, settings.loopback))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        sock.bind((_asking_host(path, settings), 0))
    except OSError:
        sock.close()
        return None
    return sock


def _join(sock: socket.socket, path: Path) -> None:
    # Without *_MULTICAST_ALL = 0 a socket also hears the groups that other programs joined on other interfaces.
    if path.is_ipv6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        wanted = socket.inet_pton(socket.AF_INET6, path.group) + struct.pack("=i", path.index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wanted)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        wanted = socket.inet_aton(path.group) + bytes(4) + struct.pack("=i", path.index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wanted)


def _at_interface(path: Path, loopback: bool) -> bytes:
    """struct ip_mreqn. With an address it needs no route, which `lo` has none of for multicast."""
    address = socket.inet_aton("127.0.0.1") if loopback else bytes(4)
    return bytes(4) + address + struct.pack("=i", path.index)


def _asking_host(path: Path, settings: CoapSettings) -> str:
    if path.is_ipv6:
        return "::"
    return "127.0.0.1" if settings.loopback else "0.0.0.0"  # noqa: S104 - answers may come to any of our addresses
