"""Where terms meet bytes: frames of messages, signed and sealed, as they travel inside the secure link.

A frame is an array of items, all of the session that its link is for. An item is `[type, map]` (sealed only),
`[type, map, signature]` (signed message) or an entry in the ledger's wire form. What the receiver knows anyway (its own
key, the request id, the chain that it holds, what it said last) is left out and put back before anything is checked;
whatever is sent again is spelled out, so that a receiver that knew less than was thought loses one frame and no more.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger import cbor
from ledger.entry import Entry, EntryType, PrevLookup, SignedEntry, SignerOf, Wire, from_wire, genesis_key, to_wire
from ledger.errors import BadSignature, LedgerError
from ledger.message import MessageKind, SignedMessage, sign_message
from ledger.signing import Signer
from market.errors import TermsInvalid
from market.terms import (
    ENTRIES,
    EPOCH_HINT_BYTES,
    MESSAGES,
    SIGNED,
    TRADE_ENTRIES,
    Control,
    Decline,
    EntryBody,
    Hello,
    LedgerTalk,
    Message,
    MessageType,
    Signed,
    from_map,
    rebuilt_fields,
    to_map,
    type_of,
)
from v2xnode.errors import PeerError

MAX_FRAME_BYTES = 4000
"""A frame inside a record: the bearer's 4 KiB less the record's header and seal."""
MAX_ITEMS = 8
"""Messages in one frame; a resumption repeats a few entries."""
REFUSED = b"\xf4"
"""CBOR false, in place of an answer: the frame could not be read, nothing of it counts."""
MAX_SAID = 4
"""Our newest words of a session, one of which an entry answers that does not say which: as many as can be under way."""

Place = tuple[bytes, int]
"""How an entry's epoch begins, and its seq."""

_FRAME_HEAD = 1
_MESSAGE_FIELDS = 2
_ENTRY_FIELDS = 6
_ANSWERS, _BODY = 3, 4


class FrameInvalid(PeerError):
    """A frame that breaks the rules; nothing of it counts."""

    code = "malformed"


@dataclass(frozen=True, slots=True)
class Plain:
    """A message that only the link protects."""

    message: Control | Hello | Decline | LedgerTalk

    @property
    def digest(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed message with what was signed."""

    message: Signed
    signed: SignedMessage

    @property
    def digest(self) -> bytes:
        return self.signed.hash


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of a chain with the message that is its body."""

    message: EntryBody
    signed: SignedEntry
    brief: bool = False
    """Sent for the first time, to a receiver that can tell what it answers."""

    @property
    def digest(self) -> bytes:
        return self.signed.hash


Item = Plain | Letter | Link


def place_of(entry: Entry) -> Place:
    """Where an entry stands in its chain, as briefly as peers say it."""
    return entry.epoch[:EPOCH_HINT_BYTES], entry.seq


def in_full(item: Item) -> Item:
    """The item as it is sent again."""
    return replace(item, brief=False) if isinstance(item, Link) else item


@dataclass(slots=True)
class Talk:
    """What the two ends of a session have signed last. said: ours, newest first; heard: the peer's newest."""

    said: "deque[bytes]" = field(default_factory=lambda: deque(maxlen=MAX_SAID))
    heard: bytes = b""

    def say(self, item: Item) -> Item:
        """The item as it is sent for the first time."""
        if item.digest:
            self.said.appendleft(item.digest)
        if isinstance(item, Link) and item.signed.entry.answers == self.heard:
            return replace(item, brief=True)
        return item

    def hear(self, item: Item) -> None:
        """The peer has signed this."""
        self.heard = item.digest or self.heard


@dataclass(frozen=True, slots=True)
class Reading:
    """What a receiver puts back: its own key, who sent it, the sender's epoch, the request id of the session, what it
    has said itself in that (newest first).

    key: the one that the link was opened with, where it is not the peer's genesis key; signer_of: which of the peer's
    keys must have signed an entry; outside: of sessions, where entries of no trade travel too.
    """

    me: bytes
    peer: bytes
    epoch: bytes
    request_id: bytes | None
    prev_lookup: PrevLookup
    said: Sequence[bytes] = ()
    key: bytes = b""
    signer_of: SignerOf = genesis_key
    outside: bool = False

    def value(self, field: str) -> bytes:
        """The value of a field that the wire left out."""
        if field != "request_id":
            return self.me
        if self.request_id is None:
            raise FrameInvalid("This message belongs to a session, and none is open.")
        return self.request_id


def sign_letter(signer: Signer, message: Signed) -> Letter:
    """Sign a request, offer or counter."""
    kind = MessageKind[type_of(message).name]
    return Letter(message, sign_message(signer, kind, cbor.encode(to_map(message))))


def body_of(message: EntryBody) -> tuple[EntryType, bytes]:
    """The ledger's type and the body's bytes of an entry to be."""
    return EntryType[type_of(message).name], cbor.encode(to_map(message))


def message_of(entry: SignedEntry) -> EntryBody:
    """The message in the body of a trade's entry. Raises TermsInvalid or LedgerError for a body that is none."""
    kind = MessageType[entry.entry.type.name]
    message: Any = from_map(MESSAGES[kind], cbor.decode(entry.body))
    return message  # type: ignore[no-any-return]


def pack(items: Iterable[Item], held: Place | None = None, epoch: bytes | None = None) -> bytes:
    """The bytes of a frame. held: the newest entry of our chain that the receiver holds, as far as we know; epoch: the
    one that the receiver takes our entries to be of (None: theirs)."""
    return cbor.encode([_pack(item, held, epoch) for item in items], max_bytes=MAX_FRAME_BYTES)


def fitting(items: Sequence[Item]) -> list[Item]:
    """As many of the items, from the first, as one frame holds; a single one always fits."""
    taken: list[Item] = []
    size = _FRAME_HEAD
    for item in items[:MAX_ITEMS]:
        size += len(cbor.encode(_pack(in_full(item), None, b""), max_bytes=MAX_FRAME_BYTES))
        if taken and size > MAX_FRAME_BYTES:
            break
        taken.append(item)
    return taken


def _pack(item: Item, held: Place | None, epoch: bytes | None) -> list[Any]:
    kind = type_of(item.message)
    trimmed = _trim(kind, item.message)
    match item:
        case Plain():
            return [int(kind), trimmed]
        case Letter():
            return [int(kind), trimmed, item.signed.signature]
        case Link():
            entry = item.signed.entry
            follows = item.brief and held == (entry.epoch[:EPOCH_HINT_BYTES], entry.seq - 1)
            elsewhere = epoch is not None and entry.epoch != epoch
            wire: Wire = to_wire(item.signed, with_prev=not follows, with_answers=not item.brief, with_epoch=elsewhere)
            wire[_BODY] = cbor.encode(trimmed)
            return wire


def _trim(kind: MessageType, message: Message) -> dict[int, Any]:
    packed = to_map(message)
    for key in _rebuilt_keys(kind).values():
        del packed[key]
    return packed


def _rebuilt_keys(kind: MessageType) -> dict[str, int]:
    described: Mapping[str, Any] = MESSAGES[kind].__dataclass_fields__
    return {name: described[name].metadata["key"] for name in rebuilt_fields(kind)}


def unpack(data: bytes) -> list[list[Any]]:
    """The raw items of a frame. Raises FrameInvalid, also for a frame that says so of ours."""
    if data == REFUSED:
        raise FrameInvalid("The peer could not read our frame.")
    try:
        value = cbor.decode(data, max_bytes=MAX_FRAME_BYTES)
    except LedgerError as problem:
        raise FrameInvalid(f"The frame is not canonical: {problem}") from None
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        items: list[list[Any]] = [item for item in value if isinstance(item, list) and len(item) >= _MESSAGE_FIELDS]
        if len(items) == len(value):
            return items
    raise FrameInvalid("A frame has at most eight items, each of at least a type and a map.")


def request_id_in(item: list[Any]) -> bytes | None:
    """The request id of a raw item that opens or resumes a session (unchecked beyond its form)."""
    match item:
        case [int(MessageType.REQUEST) | int(MessageType.RESUME), {0: bytes() as request_id}, *_]:
            return request_id if len(request_id) == 16 else None
    return None


def is_entry(item: list[Any]) -> bool:
    """Whether a raw item has an entry's form; its first field is then the entry's type, not the message's."""
    return len(item) >= _ENTRY_FIELDS


def is_accept(item: list[Any]) -> bool:
    """Whether a raw item is an Accept."""
    return is_entry(item) and bool(item[0] == EntryType.ACCEPT)


def read(item: list[Any], context: Reading) -> Item:
    """One item, checked: form, bounds, signature by the link's peer. Raises FrameInvalid."""
    try:
        if is_entry(item):
            return _read_entry(item, context)
        return _read_message(item, context)
    except (LedgerError, TermsInvalid) as problem:
        raise FrameInvalid(str(problem)) from None


def _read_message(item: list[Any], context: Reading) -> Plain | Letter:
    if len(item) < _MESSAGE_FIELDS or type(item[0]) is not int or item[0] not in MESSAGES:
        raise FrameInvalid("An item is a known type, a map, and for some a signature.")
    kind = MessageType(item[0])
    if kind in ENTRIES or (kind in SIGNED) != (len(item) == 3):
        raise FrameInvalid(f"A {kind.name} does not travel in this form.")
    message: Any = from_map(MESSAGES[kind], _restore(kind, item[1], context))
    if kind not in SIGNED:
        return Plain(message)
    signature = item[2]
    if not isinstance(signature, bytes):
        raise FrameInvalid("A signature is a byte string.")
    signed = SignedMessage(MessageKind[kind.name], context.key or context.peer, cbor.encode(to_map(message)), signature)
    signed.check()
    return Letter(message, signed)


def _read_entry(item: list[Any], context: Reading) -> Link:
    if type(item[0]) is not int or not isinstance(item[_BODY], bytes):
        raise FrameInvalid("An entry has a type and a body.")
    try:
        kind = MessageType[EntryType(item[0]).name]
    except (ValueError, KeyError):
        raise FrameInvalid("This type of entry does not travel in a session.") from None
    if kind not in (ENTRIES if context.outside else TRADE_ENTRIES):
        raise FrameInvalid("This type of entry does not travel in a session.")
    body = cbor.encode(_restore(kind, cbor.decode(item[_BODY]), context))
    signed = _rebuild([*item[:_BODY], body, *item[_BODY + 1 :]], context)
    return Link(message_of(signed), signed)


def _rebuild(wire: list[Any], context: Reading) -> SignedEntry:
    """The whole entry. What it answers may be older than our newest word, where the two crossed."""
    candidates = list(context.said) if wire[_ANSWERS] is True else []
    while True:
        try:
            return from_wire(
                wire,
                node=context.peer,
                epoch=context.epoch,
                request_id=context.request_id,
                prev_lookup=context.prev_lookup,
                expected_answers=candidates.pop(0) if candidates else b"",
                signer_of=context.signer_of,
            )
        except BadSignature:
            if not candidates:
                raise


def _restore(kind: MessageType, raw: Any, context: Reading) -> dict[int, Any]:
    if not isinstance(raw, dict):
        raise FrameInvalid(f"A {kind.name} is a map.")
    keys = _rebuilt_keys(kind)
    if any(key in raw for key in keys.values()):
        raise FrameInvalid(f"A {kind.name} spells out what its receiver knows.")
    return {**raw, **{key: context.value(name) for name, key in keys.items()}}
