"""Frames: up to eight items of one session (docs/protocol.md, Frames)."""

from dataclasses import dataclass
from typing import Any

from examples.second_implementation import messages
from examples.second_implementation.encoding import FRAME_BYTES, decode, encode
from examples.second_implementation.entries import Entry, Session, read_entry
from examples.second_implementation.keys import EXTERNAL_DATA, Identity, is_signed_by, need, sha256

ITEMS_MAX = 8
UNREADABLE = b"\xf4"
"""In place of a frame: ours could not be read, or an entry in it not be kept."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message that the link alone protects."""

    kind: int
    values: dict[str, Any]

    def item(self) -> list[Any]:
        return [self.kind, messages.to_map(self.kind, self.values, wire=True)]


@dataclass(frozen=True, slots=True)
class Signed:
    """A request, offer or counter with its signature, which is over the full map."""

    kind: int
    values: dict[str, Any]
    signature: bytes

    @property
    def payload(self) -> bytes:
        return messages.full(self.kind, self.values)

    @property
    def hash(self) -> bytes:
        return sha256(self.payload)

    def item(self) -> list[Any]:
        return [self.kind, messages.to_map(self.kind, self.values, wire=True), self.signature]


Item = Sealed | Signed | Entry


def sign(identity: Identity, kind: int, values: dict[str, Any]) -> Signed:
    return Signed(kind, values, identity.sign(messages.full(kind, values), EXTERNAL_DATA[kind]))


def write_frame(*items: Item) -> bytes:
    """Each item in full: nothing that the receiver would have to guess."""
    frame = encode([item.item() for item in items])
    need(len(items) <= ITEMS_MAX and len(frame) <= FRAME_BYTES, "This is too much for a frame.")
    return frame


def read_frame(frame: bytes, session: Session) -> list[Item]:
    """The items, in order; entries among them are noted as held only if all of the frame is good.

    Raises ProtocolError, and then nothing of it counts.
    """
    found = decode(frame, FRAME_BYTES)
    need(found is not False, "The peer could not read our frame.")
    need(type(found) is list and len(found) <= ITEMS_MAX, "A frame is an array of at most eight items.")
    trial = Session(session.node, session.epoch, session.receiver, session.request_id, dict(session.held), session.said)
    items: list[Item] = []
    for each in found:
        item = _read_item(each, trial)
        if isinstance(item, Entry):
            need(trial.held.setdefault(item.seq, item.hash) == item.hash, "Two entries for one place: a fork.")
        elif item.kind == messages.HELLO:
            trial.epoch = item.values["epoch"]
        items.append(item)
    session.held, session.epoch = trial.held, trial.epoch
    return items


def _read_item(item: Any, session: Session) -> Item:
    need(type(item) is list and len(item) in (2, 3, 6) and type(item[0]) is int, "This is no item.")
    if len(item) == 6:
        return read_entry(item, session)
    kind, given = item[0], {"request_id": session.request_id, "provider": session.receiver}
    signed = kind in EXTERNAL_DATA
    need(kind in messages.FIELDS and (signed or kind not in range(5, 15)), "An unknown item.")
    need(len(item) == (3 if signed else 2), "An item has a signature where one belongs, and only there.")
    values = messages.parse(kind, item[1], given)
    if not signed:
        return Sealed(kind, values)
    need(messages.raw(64)(item[2]), "A signature has 64 bytes.")
    message = Signed(kind, values, item[2])
    genuine = is_signed_by(session.node, message.payload, EXTERNAL_DATA[kind], message.signature)
    need(genuine, "This message's signature does not hold.")
    return message
