"""CoAP messages as values (RFC 7252, section 3): the only file that knows the codec's library.

Everything read here was written by a stranger. aiocoap's codec enters every option number and content format that it
meets into a table for ever, and raises several kinds of errors: `_well_formed` first lets through only what is
bounded, so that neither can be used against us.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from aiocoap.error import UnparsableMessage
from aiocoap.message import Message
from aiocoap.numbers.types import Type

MAX_DATAGRAM_BYTES = 1_500
"""Nothing larger crosses an Ethernet unfragmented; our own datagrams stay under 1,152 bytes (RFC 7252, 4.6)."""

MAX_OPTION_NUMBER = 2_047
"""Above it live vendors' and experiments' options (RFC 7252, 12.2), which nobody has reason to send us."""

TOKEN_BYTES = 4
"""Ours. 32 random bits keep a blind forger out of an exchange that lasts seconds (RFC 7252, 5.3.1)."""

_MAX_TOKEN_BYTES = 8
_HEADER_BYTES = 4
_PAYLOAD_MARKER = 0xFF
_KNOWN_CRITICAL = frozenset({3, 7, 11, 15, 17, 23, 27})  # Uri-Host, -Port, -Path, -Query, Accept, Block2, Block1
_MAX_OPTION_BYTES = {4: 8, 6: 3, 7: 2, 12: 2, 13: 2, 14: 4, 17: 2, 23: 3, 27: 3, 28: 4, 60: 4, 258: 1, 292: 8}
_MAX_OPTION_BYTES_DEFAULT = 255
_RESERVED_SZX = 7


class Kind(IntEnum):
    """A message's type (RFC 7252, 3)."""

    CONFIRMABLE = 0
    NON_CONFIRMABLE = 1
    ACKNOWLEDGEMENT = 2
    RESET = 3


class Code(IntEnum):
    """The codes that we send or look at (RFC 7252, 12.1; RFC 7959; RFC 8132)."""

    EMPTY = 0x00
    GET = 0x01
    POST = 0x02
    FETCH = 0x05
    CHANGED = 0x44
    CONTENT = 0x45
    CONTINUE = 0x5F
    BAD_OPTION = 0x82
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    ENTITY_INCOMPLETE = 0x88
    ENTITY_TOO_LARGE = 0x8D


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a body that is too large for a datagram (RFC 7959). size: 16 to 1,024 bytes, a power of two."""

    number: int
    more: bool
    size: int

    @property
    def offset(self) -> int:
        return self.number * self.size

    @property
    def szx(self) -> int:
        return self.size.bit_length() - 5


@dataclass(frozen=True, slots=True)
class Packet:
    """A CoAP message. has_unknown_critical: it carries an option that we must not ignore but don't know."""

    kind: Kind
    code: int
    mid: int
    token: bytes = b""
    payload: bytes = b""
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    observe: int | None = None
    block1: Block | None = None
    block2: Block | None = None
    etag: bytes | None = None
    request_tag: bytes | None = None
    accept: int | None = None
    content_format: int | None = None
    has_unknown_critical: bool = False

    @property
    def is_request(self) -> bool:
        return 1 <= self.code < 0x20

    @property
    def is_response(self) -> bool:
        return 0x40 <= self.code < 0xC0

    @property
    def is_success(self) -> bool:
        return 0x40 <= self.code < 0x60

    @property
    def code_text(self) -> str:
        """As people write it: 4.04."""
        return f"{self.code >> 5}.{self.code & 0x1F:02}"

    def numbered(self, mid: int) -> "Packet":
        """The same message under another message id."""
        return replace(self, mid=mid)


def empty(kind: Kind, mid: int) -> Packet:
    """An empty message: a bare acknowledgement or a reset."""
    return Packet(kind, Code.EMPTY, mid)


def encode(packet: Packet) -> bytes:
    """The datagram of `packet`."""
    message = Message(code=packet.code, payload=packet.payload)  # type: ignore[no-untyped-call]
    message.mtype, message.mid, message.token = Type(packet.kind), packet.mid, packet.token
    options = message.opt
    options.uri_path, options.uri_query = packet.path, packet.query
    options.observe, options.etag, options.accept = packet.observe, packet.etag, packet.accept
    options.content_format = packet.content_format
    if packet.request_tag is not None:
        options.request_tag = (packet.request_tag,)
    if packet.block1 is not None:
        options.block1 = (packet.block1.number, packet.block1.more, packet.block1.szx)
    if packet.block2 is not None:
        options.block2 = (packet.block2.number, packet.block2.more, packet.block2.szx)
    return bytes(message.encode())  # type: ignore[no-untyped-call]


def decode(datagram: bytes) -> Packet | None:
    """The message in `datagram`, or None when it is none: too large, cut short, out of the standard's bounds."""
    if not _well_formed(datagram):
        return None
    try:
        message = Message.decode(datagram)  # type: ignore[no-untyped-call]
    except (UnparsableMessage, UnicodeDecodeError):
        return None
    options = message.opt
    blocks = options.block1, options.block2
    if any(block is not None and block.size_exponent == _RESERVED_SZX for block in blocks):
        return None
    block1, block2 = (block and Block(block.block_number, block.more, block.size) for block in blocks)
    return Packet(
        kind=Kind(message.mtype),
        code=int(message.code),
        mid=message.mid,
        token=message.token,
        payload=message.payload,
        path=options.uri_path,
        query=options.uri_query,
        observe=options.observe,
        block1=block1,
        block2=block2,
        etag=options.etag,
        request_tag=next(iter(options.request_tag), None),
        accept=None if options.accept is None else int(options.accept),
        content_format=None if options.content_format is None else int(options.content_format),
        has_unknown_critical=any(
            option.number % 2 and option.number not in _KNOWN_CRITICAL for option in options.option_list()
        ),
    )


def _well_formed(datagram: bytes) -> bool:
    if not _HEADER_BYTES <= len(datagram) <= MAX_DATAGRAM_BYTES:
        return False
    version, token_bytes, code = datagram[0] >> 6, datagram[0] & 0x0F, datagram[1]
    if version != 1 or token_bytes > _MAX_TOKEN_BYTES:
        return False
    if code == Code.EMPTY:
        return len(datagram) == _HEADER_BYTES and token_bytes == 0
    at = _HEADER_BYTES + token_bytes
    return at <= len(datagram) and _options_well_formed(datagram, at)


def _options_well_formed(datagram: bytes, at: int) -> bool:
    number = 0
    while at < len(datagram):
        first, at = datagram[at], at + 1
        if first == _PAYLOAD_MARKER:
            return at < len(datagram)  # a marker before nothing is a format error (RFC 7252, 3)
        delta, at = _extended(first >> 4, datagram, at)
        length, at = _extended(first & 0x0F, datagram, at)
        number, at = number + delta, at + length
        if number > MAX_OPTION_NUMBER or at > len(datagram):
            return False
        if length > _MAX_OPTION_BYTES.get(number, _MAX_OPTION_BYTES_DEFAULT):
            return False
    return True


def _extended(nibble: int, datagram: bytes, at: int) -> tuple[int, int]:
    """An option's delta or length, and where reading goes on (RFC 7252, 3.1); what is cut short or reserved comes
    out above every bound."""
    if nibble < 13:
        return nibble, at
    width = nibble - 12
    if width > 2 or at + width > len(datagram):
        return MAX_DATAGRAM_BYTES + MAX_OPTION_NUMBER, at
    base = 13 if width == 1 else 269
    return base + int.from_bytes(datagram[at : at + width], "big"), at + width
