"""A fork proof: two statements of one node for one place, each signed by it, that no honest node signs both. Pure.

There are two kinds, and nothing less is a proof:

- two entries of the same epoch and sequence number with different payloads;
- two checkpoints of the same epoch and size with different roots.

A smaller checkpoint, an older head or an entry that does not come proves nothing: an honest node's look the same. Nor
do two checkpoints of different sizes that no consistency proof joins: whether there is none, only their maker knows.

What a key signed that was revoked afterwards is no proof, unless it was held before: a thief signs what it likes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ledger import cbor
from ledger.entry import Entry, SignedEntry
from ledger.errors import Malformed, NoFork, NotCanonical, Revoked
from ledger.filing import demand_fields, entry_from_json, entry_to_json, list_of, octets_of, write_file
from ledger.keys.key_history import MAX_KEYS, KeyHistory, fold_keys
from ledger.proofs.checkpoint import Checkpoint
from ledger.proofs.note import KeyType, Note, to_base64
from ledger.signing import AAD_ENTRY, SIGNATURE_BYTES, verify1, verify_bytes

FORM: Final = "v2x-fork/1"


class ForkKind(IntEnum):
    """What the two statements are."""

    ENTRIES = 0
    CHECKPOINTS = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """What a node signed: an entry's payload, or a checkpoint's text in UTF-8; and 64 bytes of signature."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class ForkProof:
    """Two statements, in the order of their payloads, so that one proof has one form. `check` says whether it proves.

    One that exists is of one place with two contents, or raises Malformed or NoFork.
    """

    kind: ForkKind
    first: Statement
    second: Statement

    def __post_init__(self) -> None:
        if not len(self.first.signature) == len(self.second.signature) == SIGNATURE_BYTES:
            raise Malformed(f"a signature has {SIGNATURE_BYTES} bytes")
        if self.first.payload > self.second.payload:
            raise NotCanonical("the statements stand in the order of their payloads")
        if self.first.payload == self.second.payload:
            raise NoFork("both statements are the same: a node may sign one as often as it likes")
        if self._place(self.first) != self._place(self.second):
            raise NoFork("the statements are not of the same node, epoch and place")

    @property
    def node(self) -> bytes:
        """Who signed both."""
        return self._place(self.first)[0]

    @property
    def epoch(self) -> bytes:
        """In which epoch."""
        return self._place(self.first)[1]

    @property
    def at(self) -> int:
        """The sequence number of the entries, or the size of the checkpoints."""
        return self._place(self.first)[2]

    def check(self, keys: KeyHistory) -> None:
        """Raises BadSignature, Revoked or Gap unless the node's key of that place signed both, and is not revoked."""
        key = keys.key_at(self.epoch, self.at)
        if key in keys.revoked:
            raise Revoked("the key of this place was revoked: its owner need not have signed both")
        for statement in (self.first, self.second):
            self._check_signature(statement, key)

    def encode(self) -> bytes:
        """The body of a FORK entry: {0: kind, 1: payload, 2: signature, 3: payload, 4: signature}."""
        first, second = self.first, self.second
        fields = (int(self.kind), first.payload, first.signature, second.payload, second.signature)
        return cbor.encode(dict(enumerate(fields)))

    @classmethod
    def parse(cls, body: bytes) -> ForkProof:
        """The proof in a FORK entry. Raises what the construction raises, or NotCanonical or TooLarge."""
        match cbor.decode(body):
            case {0: int(kind), 1: bytes(one), 2: bytes(by_one), 3: bytes(two), 4: bytes(by_two), **rest} if not rest:
                return cls(_kind(kind), Statement(one, by_one), Statement(two, by_two))
        raise Malformed("a fork proof is a kind and two statements")

    @property
    def sentence(self) -> str:
        """For people."""
        what = "two entries" if self.kind is ForkKind.ENTRIES else "two checkpoints of size"
        return f"{self.node.hex()} signed {what} {self.at} of the epoch {self.epoch.hex()}"

    def _place(self, statement: Statement) -> tuple[bytes, bytes, int]:
        if self.kind is ForkKind.ENTRIES:
            entry = Entry.parse(statement.payload)
            return entry.node, entry.epoch, entry.seq
        checkpoint = Checkpoint.parse(_text(statement.payload))
        return *checkpoint.place, checkpoint.size

    def _check_signature(self, statement: Statement, key: bytes) -> None:
        if self.kind is ForkKind.ENTRIES:
            verify1(key, statement.payload, statement.signature, AAD_ENTRY)
        else:
            verify_bytes(key, statement.payload, statement.signature)


def fork_of_entries(one: SignedEntry, other: SignedEntry) -> ForkProof:
    """Raises NoFork unless they are two for one place."""
    return _ordered(
        ForkKind.ENTRIES,
        Statement(one.entry.payload, one.signature),
        Statement(other.entry.payload, other.signature),
    )


def fork_of_checkpoints(one: Note, other: Note, key: bytes) -> ForkProof:
    """Of two notes that `key` signed for their origin. Raises NoFork unless they are two for one size."""
    return _ordered(ForkKind.CHECKPOINTS, _noted(one, key), _noted(other, key))


def to_file(proof: ForkProof, keys: Iterable[SignedEntry]) -> bytes:
    """The proof as a file that needs nothing else; `keys` are the node's KEY entries, in order, as far as held."""
    first, second = (
        {"payload": to_base64(each.payload), "signature": to_base64(each.signature)} for each in _both(proof)
    )
    fields = {"kind": proof.kind.name.lower(), "first": first, "second": second}
    return write_file(FORM, {**fields, "keys": [entry_to_json(each) for each in keys]})


def from_fields(value: object) -> tuple[ForkProof, KeyHistory]:
    """The proof of a file (`filing.read_file`), and the keys that it shows. Neither signature is checked here.

    Raises Malformed, NotCanonical, TooLarge or NoFork, and for its KEY entries what `fold_keys` raises.
    """
    fields = demand_fields(value, ("kind", "first", "second", "keys"))
    kinds = {each.name.lower(): each for each in ForkKind}
    if fields["kind"] not in kinds:
        raise Malformed("a fork proof is of entries or of checkpoints")
    proof = ForkProof(kinds[fields["kind"]], _statement(fields["first"]), _statement(fields["second"]))
    return proof, fold_keys(proof.node, [entry_from_json(each) for each in list_of(fields["keys"], MAX_KEYS)])


def _both(proof: ForkProof) -> tuple[Statement, Statement]:
    return proof.first, proof.second


def _statement(value: object) -> Statement:
    fields = demand_fields(value, ("payload", "signature"))
    return Statement(octets_of(fields["payload"]), octets_of(fields["signature"]))


def _ordered(kind: ForkKind, *statements: Statement) -> ForkProof:
    first, second = sorted(statements, key=lambda each: each.payload)
    return ForkProof(kind, first, second)


def _noted(note: Note, key: bytes) -> Statement:
    signed = note.by(Checkpoint.parse(note.text).origin, key, KeyType.ED25519)
    return Statement(note.text.encode(), signed.signature)


def _kind(number: int) -> ForkKind:
    if type(number) is not int or number not in ForkKind.__members__.values():
        raise Malformed(f"a fork proof of kind {number} is not known")
    return ForkKind(number)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a checkpoint is text") from error
