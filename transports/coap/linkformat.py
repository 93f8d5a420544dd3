"""How a node shows itself: one link in CoRE link format (RFC 6690), such as

    <coap://192.0.2.7:5701/v2x>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5

role and svc are the announcement's bits in decimal, id its identifier in lower-case hexadecimal. The link is absolute
because a relative one would be read as relative to the shared port that was asked (RFC 7252, 8.2).
"""

import re
from dataclasses import dataclass

from transports.coap.address import TRADE_PATH, InvalidAddress, Peer, parse_address
from transports.interface import IDENTIFIER_BYTES, Announcement

RESOURCE_TYPE = "v2x.trade"

MAX_DOCUMENT_BYTES = 1_024
"""One CoAP block. Our own document has about 90 bytes; a stranger's may list some other resources."""

MAX_LINKS = 16
"""Nodes behind one answer: ours gives one, a directory of a site a few."""

_LINK = re.compile(
    r"<(?P<target>[!-;=?-~]{1,255})>(?P<attributes>(?:;[A-Za-z0-9.*\-]+(?:=(?:\"[^\"\\]*\"|[^\";,\s]+))?)*)"
)
_ATTRIBUTE = re.compile(r";([A-Za-z0-9.*\-]+)(?:=(?:\"([^\"\\]*)\"|([^\";,\s]+)))?")
_BITS = re.compile(r"[0-9]|1[0-5]")
_IDENTIFIER = re.compile(rf"[0-9a-f]{{{2 * IDENTIFIER_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Offered:
    """A node that a document shows."""

    host: str
    port: int
    announcement: Announcement


def compose(announcement: Announcement, at: Peer | None) -> str:
    """The link of a node; `at` makes it absolute, None leaves it relative for who asks the node's own port."""
    base = "" if at is None else f"coap://{Peer(at.host, at.port)}"
    attributes = _attributes(announcement)
    shown = "".join(f";{name}={value}" for name, value in attributes.items() if name != "rt")
    return f'<{base}/{TRADE_PATH}>;rt="{RESOURCE_TYPE}"{shown}'


def matches(query: tuple[str, ...], announcement: Announcement) -> bool:
    """Whether the link passes every filter of a question (RFC 6690, 4.1): `name=value`, or `name=start*`."""
    attributes = {**_attributes(announcement), "href": f"/{TRADE_PATH}"}
    return all(_passes(condition, attributes) for condition in query)


def parse(document: bytes) -> list[Offered]:
    """The nodes in an answer. Whatever is not exactly a link of ours is skipped, and a document that is no link format
    shows nobody: it comes from a stranger."""
    if len(document) > MAX_DOCUMENT_BYTES or not document.isascii():
        return []
    text, offered = document.decode("ascii"), []
    for _ in range(MAX_LINKS):
        link = _LINK.match(text)
        if link is None:
            return []
        node = _node(link["target"], dict(_pairs(link["attributes"])))
        if node is not None:
            offered.append(node)
        text = text[link.end() :]
        if not text:
            return offered
        if not text.startswith(","):
            return []
        text = text[1:]
    return offered


def _attributes(announcement: Announcement) -> dict[str, str]:
    return {
        "rt": RESOURCE_TYPE,
        "role": str(announcement.role_bits),
        "svc": str(announcement.service_bits),
        "id": announcement.identifier.hex(),
    }


def _passes(condition: str, attributes: dict[str, str]) -> bool:
    name, equals, wanted = condition.partition("=")
    has = attributes.get(name)
    if has is None or not equals:
        return False
    return has.startswith(wanted[:-1]) if wanted.endswith("*") else has == wanted


def _pairs(attributes: str) -> list[tuple[str, str]]:
    return [(name, quoted or plain) for name, quoted, plain in _ATTRIBUTE.findall(attributes)]


def _node(target: str, attributes: dict[str, str]) -> Offered | None:
    role, service, identifier = (attributes.get(name, "") for name in ("role", "svc", "id"))
    if RESOURCE_TYPE not in attributes.get("rt", "").split():
        return None
    if not (_BITS.fullmatch(role) and _BITS.fullmatch(service) and _IDENTIFIER.fullmatch(identifier)):
        return None
    where = _where(target)
    if where is None:
        return None
    return Offered(*where, Announcement(int(role), int(service), bytes.fromhex(identifier)))


def _where(target: str) -> tuple[str, int] | None:
    """Host and port of our kind of target. Link-local hosts come without a zone, which means something to one machine
    only: any will do for the check, the datagram tells the real one."""
    if not target.startswith("coap://") or not target.endswith(f"/{TRADE_PATH}") or "%" in target:
        return None
    try:
        peer = parse_address(target.replace("]", "%1]") if target.lower().startswith("coap://[fe80:") else target)
    except InvalidAddress:
        return None
    return peer.host, peer.port
