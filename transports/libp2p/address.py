"""Addresses of peers as libp2p writes them: where, and who has to be there."""

import ipaddress
import re
from dataclasses import dataclass

from transports.errors import LocalTransportError

MAX_ADDRESS_CHARS = 160
"""The longest IPv6 address, a port and a peer id of 64 characters, with what stands between them."""

_ED25519 = bytes.fromhex("0024 0801 1220")
"""An identity multihash of 36 bytes: a protobuf that says Ed25519 and 32 bytes of key."""

_FORM = re.compile(
    r"/(?:ip4/(?P<four>[0-9.]{7,15})|ip6/(?P<six>[0-9A-Fa-f:.]{2,45}))/tcp/(?P<port>[1-9][0-9]{0,4})"
    r"/p2p/(?P<peer_id>[1-9A-HJ-NP-Za-km-z]{46,64})"
)


class InvalidAddress(LocalTransportError):
    """The text names no libp2p node that we could dial."""

    code = "libp2p_address"


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """host: numeric. peer_id: in base58; whoever answers there has to prove that it is he."""

    host: str
    port: int
    peer_id: str

    def __str__(self) -> str:
        return f"{endpoint(self.host, self.port)}/p2p/{self.peer_id}"


def peer_id(public: bytes) -> str:
    """The peer id of an Ed25519 public key of 32 bytes (libp2p's specification of peer ids). Needs the extra."""
    import base58

    return base58.b58encode(_ED25519 + public).decode()


def endpoint(host: str, port: int) -> str:
    """The multiaddress of a numeric host and a TCP port."""
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"


def parse_address(text: str) -> PeerAddress:
    """The peer that `/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...` names.

    Numeric addresses, TCP and a peer id only: names would have to be looked up, and without an id anybody could
    answer. Raises InvalidAddress with a sentence for the person who typed it.
    """
    form = _FORM.fullmatch(text) if len(text) <= MAX_ADDRESS_CHARS else None
    if form is None:
        raise InvalidAddress("a libp2p address looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...")
    port = int(form["port"])
    if port > 65_535:
        raise InvalidAddress(f"port {port} does not exist: it is 1 to 65,535")
    return PeerAddress(_host(form["four"], form["six"]), port, form["peer_id"])


def _host(four: str | None, six: str | None) -> str:
    text = four or six or ""
    try:
        host = ipaddress.IPv4Address(text) if four else ipaddress.IPv6Address(text)
    except ValueError:
        raise InvalidAddress(f"{text} is no IPv4 or IPv6 address") from None
    if host.is_multicast or host.is_unspecified:
        raise InvalidAddress(f"{text} is not the address of one node")
    if host.version == 6 and host.is_link_local:
        raise InvalidAddress(f"{text} means something on one link only, and a multiaddress can't name the link")
    return str(host)
