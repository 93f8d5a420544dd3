"""Entries of hash chains, and our own chain (docs/ledger.md, An entry)."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from examples.second_implementation import messages
from examples.second_implementation.encoding import decode, encode
from examples.second_implementation.keys import (
    ENTRY_DATA,
    Identity,
    ProtocolError,
    cose_sign1,
    is_signed_by,
    need,
    salt_of,
    sha256,
)

KEY_TYPE = 1
TYPE_TO_MESSAGE = 3
"""An entry's type in the ledger is its message's, less this: ACCEPT is 2 there and 5 in the table of messages."""
TRADE_TYPES = range(2, 12)
NEEDS_AN_ANSWER = frozenset(
    {messages.ACCEPT, messages.CONFIRM, messages.REJECT, messages.RECEIPT, messages.CLOSED, messages.RESOLVE}
)
GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Entry:
    """One signed entry with its body. `kind` is the message type; 1 of the ledger (KEY) has none and stands as -2."""

    node: bytes
    epoch: bytes
    seq: int
    prev: bytes
    kind: int
    answers: bytes
    salt: bytes
    body: bytes
    signature: bytes

    @property
    def payload(self) -> bytes:
        kind, commitment = self.kind - TYPE_TO_MESSAGE, sha256(self.salt, self.body)
        return encode([1, self.node, self.epoch, self.seq, self.prev, kind, self.answers, commitment])

    @property
    def hash(self) -> bytes:
        return sha256(self.payload)

    @property
    def cose(self) -> bytes:
        return cose_sign1(self.payload, self.signature)

    @property
    def holds(self) -> bool:
        """Whether its node signed it."""
        return is_signed_by(self.node, self.payload, ENTRY_DATA, self.signature)

    @property
    def values(self) -> dict[str, Any]:
        return messages.parse_bytes(self.kind, self.body)

    def item(self, *, prev: bool = True, answers: bool = True) -> list[Any]:
        """As it travels; without `prev` or `answers` as a first sending may leave them out."""
        body = encode(messages.to_map(self.kind, self.values, wire=True))
        said = self.answers if answers else True
        return [self.kind - TYPE_TO_MESSAGE, self.seq, self.prev if prev else b"", said, body, self.signature]


@dataclass(slots=True)
class Chain:
    """The chain that we sign, from a genesis of its own on. Kept for one trade: a node would keep it for life."""

    identity: Identity
    epoch: bytes = field(default_factory=lambda: os.urandom(8))
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        body = encode({0: self.identity.public})
        self._append(KEY_TYPE + TYPE_TO_MESSAGE, b"", os.urandom(16), body)

    def write(self, kind: int, request_id: bytes, answers: bytes, values: dict[str, Any]) -> Entry:
        """Sign the next entry of a trade."""
        salt = salt_of(request_id, self.epoch, len(self.entries))
        return self._append(kind, answers, salt, messages.full(kind, values))

    def _append(self, kind: int, answers: bytes, salt: bytes, body: bytes) -> Entry:
        prev = self.entries[-1].hash if self.entries else GENESIS
        seq, node = len(self.entries), self.identity.public
        blank = Entry(node, self.epoch, seq, prev, kind, answers, salt, body, b"")
        signature = self.identity.sign(blank.payload, ENTRY_DATA)
        entry = Entry(node, self.epoch, seq, prev, kind, answers, salt, body, signature)
        self.entries.append(entry)
        return entry


@dataclass(slots=True)
class Session:
    """What puts back what an entry on the wire leaves out."""

    node: bytes
    """The signer: the link's peer."""
    epoch: bytes
    """As its Hello says."""
    receiver: bytes
    request_id: bytes
    held: dict[int, bytes] = field(default_factory=dict)
    """Hashes of the signer's entries that we hold, by seq."""
    said: list[bytes] = field(default_factory=list)
    """Hashes of what the receiver has signed in this session, the newest last."""


ANSWERS_TRIED = 4


def read_entry(item: list[Any], session: Session) -> Entry:
    """An entry of the wire, whole again and verified. Raises ProtocolError."""
    shapes: tuple[Callable[[Any], bool], ...] = (
        messages.num(TRADE_TYPES.start, TRADE_TYPES.stop - 1),
        messages.num(0, 2**62),
        lambda prev: type(prev) is bytes and len(prev) in (0, 32),
        lambda answers: answers is True or (type(answers) is bytes and len(answers) in (0, 32)),
        lambda body: type(body) is bytes,
        messages.raw(64),
    )
    need(messages.record(*shapes)(item), "This is not an entry.")
    kind, seq, prev, answers, body, signature = item
    kind += TYPE_TO_MESSAGE
    given = {"peer": session.receiver, "request_id": session.request_id}
    values = messages.parse(kind, decode(body), given)
    if not prev:
        need(seq - 1 in session.held, "The entry before this one is not held.")
        prev = session.held[seq - 1]
    need(answers != b"" or kind not in NEEDS_AN_ANSWER, "This entry means nothing without what it answers.")
    salt, whole = salt_of(session.request_id, session.epoch, seq), messages.full(kind, values)
    for candidate in reversed(session.said[-ANSWERS_TRIED:]) if answers is True else [answers]:
        entry = Entry(session.node, session.epoch, seq, prev, kind, candidate, salt, whole, signature)
        if entry.holds:
            return entry
    raise ProtocolError("This entry's signature does not hold.")
