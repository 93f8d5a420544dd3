"""A receipt file: the signed entries and messages of one trade, with what a stranger needs to check them. Pure.

It shows what was signed, by whom, and that one party's entries stand in its chain under a checkpoint. What the bodies
say, and whether it fits, is for those who know what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import chain
from ledger.entry import NODE_BYTES, REQUEST_ID_BYTES, EntryType, SignedEntry
from ledger.errors import BadProof, BadSignature, BrokenChain, Fork, Malformed, Revoked, UnknownOrigin
from ledger.filing import demand_fields, entry_from_json, entry_to_json, list_of, octets_of, write_file
from ledger.keys.key_history import MAX_KEYS, KeyHistory, fold_keys
from ledger.message import MessageKind, SignedMessage
from ledger.proofs.checkpoint import Checkpoint, open_checkpoint, verify_cosignature, witness_name, witness_of
from ledger.proofs.merkle import MAX_PROOF_HASHES, leaf_hash, verify_inclusion
from ledger.proofs.note import MAX_NOTE_BYTES, KeyType, Note, key_id, to_base64
from ledger.signing import SIGNATURE_BYTES

FORM: Final = "v2x-receipt/1"

FIELDS: Final = ("node", "request_id", "messages", "entries", "keys", "checkpoint", "proofs")

MAX_ENTRIES: Final = 10_000
"""Of one trade: as many as a ledger keeps."""

MAX_MESSAGES: Final = 16
"""A request and an offer; a few counters between them."""

_MESSAGE_FIELDS: Final = ("kind", "signer", "payload", "signature")


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness: at `at_s` (seconds since 1970, its clock) it knew of no other history of that chain."""

    node: bytes
    at_s: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What a receipt that holds shows. checkpoint: over the entries of its node, None where it carries none. keys: of
    each node, as far as the receipt shows them. revoked: an entry's key was revoked later."""

    keys: Mapping[bytes, KeyHistory]
    checkpoint: Checkpoint | None
    cosigners: tuple[Cosigner, ...]
    revoked: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """The parts of a receipt file. node: whose ledger it is from, whose entries the proofs are about.

    entries: of both parties, in the order of that ledger. keys: KEY entries of nodes that have more than their first,
    each node's in the order of its chain. note: the checkpoint with its cosignatures. proofs: one for each entry of
    `node` in the checkpoint's epoch, in their order.
    """

    node: bytes
    request_id: bytes
    messages: tuple[SignedMessage, ...]
    entries: tuple[SignedEntry, ...]
    keys: tuple[SignedEntry, ...] = ()
    note: Note | None = None
    proofs: tuple[tuple[bytes, ...], ...] = ()

    def encode(self) -> bytes:
        """The file."""
        return write_file(
            FORM,
            {
                "node": to_base64(self.node),
                "request_id": to_base64(self.request_id),
                "messages": [_message_to_json(each) for each in self.messages],
                "entries": [entry_to_json(each) for each in self.entries],
                "keys": [entry_to_json(each) for each in self.keys],
                "checkpoint": bytes(self.note).decode() if self.note else "",
                "proofs": [[to_base64(each) for each in proof] for proof in self.proofs],
            },
        )

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Receipt:
        """The receipt of a file's fields (see `filing.read_file`). Raises Malformed, NotCanonical or TooLarge."""
        found = demand_fields(fields, FIELDS)
        request_id = _sized("a request id", octets_of(found["request_id"]), REQUEST_ID_BYTES)
        return cls(
            node=_sized("a node", octets_of(found["node"]), NODE_BYTES),
            request_id=request_id,
            messages=tuple(_message_from_json(each) for each in list_of(found["messages"], MAX_MESSAGES)),
            entries=tuple(_entry(each, request_id) for each in list_of(found["entries"], MAX_ENTRIES)),
            keys=tuple(_key_entry(each) for each in list_of(found["keys"], 2 * MAX_KEYS)),
            note=_note(found["checkpoint"]),
            proofs=tuple(_proof(each) for each in list_of(found["proofs"], MAX_ENTRIES)),
        )

    def check(self) -> Checked:
        """Signatures, commitments, salts, the chains' pieces, proofs and cosignatures.

        Raises a RemoteLedgerError whose code says what does not hold.
        """
        keys = _histories(self.keys)
        self._check_messages()
        revoked = [self._check_entry(each, keys) for each in self.entries]
        _check_pieces([*self.entries, *self.keys])
        checkpoint, cosigners = self._check_checkpoint(keys)
        return Checked(keys, checkpoint, cosigners, any(revoked))

    def _check_messages(self) -> None:
        for message in self.messages:
            message.check()
            message.check_request(self.request_id)

    def _check_entry(self, signed: SignedEntry, keys: Mapping[bytes, KeyHistory]) -> bool:
        """Whether its key was revoked later."""
        entry = signed.entry
        history = history_of(keys, entry.node)
        key = history.key_at(entry.epoch, entry.seq)
        signed.check(key)
        chain.check_answers(signed, signed.request_id)  # what is answered may be of those that are not shown
        if not history.counts(entry.epoch, entry.seq):
            raise Revoked(f"entry {entry.seq} is of a key that was revoked, behind what counts of it")
        return key in history.revoked

    def _check_checkpoint(self, keys: Mapping[bytes, KeyHistory]) -> tuple[Checkpoint | None, tuple[Cosigner, ...]]:
        if self.note is None:
            if self.proofs:
                raise BadProof("there are proofs, and no checkpoint that they lead to")
            return None, ()
        claimed = Checkpoint.parse(self.note.text)
        node, epoch = claimed.place
        if node != self.node:
            raise UnknownOrigin("the checkpoint is of another node")
        signer = history_of(keys, node).key_at(epoch, claimed.size)
        checkpoint = open_checkpoint(self.note, signer)
        self._check_proofs(checkpoint, epoch)
        return checkpoint, tuple(_cosigners(self.note, checkpoint, signer, keys))

    def _check_proofs(self, checkpoint: Checkpoint, epoch: bytes) -> None:
        own = [each.entry for each in self.entries if (each.entry.node, each.entry.epoch) == (self.node, epoch)]
        if len(own) != len(self.proofs):
            raise BadProof(f"{len(self.proofs)} proofs for {len(own)} entries of this node")
        for entry, proof in zip(own, self.proofs, strict=True):
            verify_inclusion(leaf_hash(entry.payload), entry.seq, checkpoint.size, checkpoint.root, proof)


def history_of(keys: Mapping[bytes, KeyHistory], node: bytes) -> KeyHistory:
    """As shown, or that of a node that never changed its key."""
    return keys.get(node, KeyHistory(node))


def _histories(entries: Iterable[SignedEntry]) -> Mapping[bytes, KeyHistory]:
    by_node: dict[bytes, list[SignedEntry]] = {}
    for each in entries:
        by_node.setdefault(each.entry.node, []).append(each)
    return {node: fold_keys(node, chain_) for node, chain_ in by_node.items()}


def _check_pieces(entries: Sequence[SignedEntry]) -> None:
    """No place twice, and neighbours that fit: of a chain a receipt shows pieces."""
    places: dict[tuple[bytes, bytes, int], SignedEntry] = {}
    for signed in entries:
        entry = signed.entry
        held = places.get((entry.node, entry.epoch, entry.seq))
        if held is not None and held.hash != signed.hash:
            raise Fork(f"{entry.node.hex()[:16]}… signed two entries {entry.seq} of one epoch", held, signed)
        if held is not None:
            raise Malformed(f"entry {entry.seq} of {entry.node.hex()[:16]}… stands here twice")
        places[entry.node, entry.epoch, entry.seq] = signed
        chain.check_start(entry)
    for (node, epoch, seq), signed in places.items():
        before = places.get((node, epoch, seq - 1))
        if before is not None and signed.entry.prev != before.hash:
            raise BrokenChain(f"prev of entry {seq} is not the hash of the entry before")


def _cosigners(
    note: Note, checkpoint: Checkpoint, signer: bytes, keys: Mapping[bytes, KeyHistory]
) -> Iterator[Cosigner]:
    own = key_id(checkpoint.origin, signer, KeyType.ED25519)
    for line in note.signatures:
        if (line.name, line.key_id) == (checkpoint.origin, own):
            continue
        witness = witness_of(line.name)
        key = history_of(keys, witness).current or witness
        if line.name != witness_name(witness):
            raise BadSignature("a checkpoint is signed by its node, and cosigned under the names of others")
        yield Cosigner(witness, verify_cosignature(checkpoint, line, key))


def _message_to_json(message: SignedMessage) -> dict[str, str]:
    return {
        "kind": message.kind.name,
        "signer": to_base64(message.signer),
        "payload": to_base64(message.payload),
        "signature": to_base64(message.signature),
    }


def _message_from_json(value: object) -> SignedMessage:
    found = demand_fields(value, _MESSAGE_FIELDS)
    kind = found["kind"]
    if not isinstance(kind, str) or kind not in MessageKind.__members__:
        raise Malformed("a message is a REQUEST, an OFFER or a COUNTER")
    return SignedMessage(
        MessageKind[kind],
        _sized("a signer", octets_of(found["signer"]), NODE_BYTES),
        octets_of(found["payload"]),
        _sized("a signature", octets_of(found["signature"]), SIGNATURE_BYTES),
    )


def _entry(value: object, request_id: bytes) -> SignedEntry:
    signed = entry_from_json(value, request_id=request_id)
    if not signed.entry.type.of_trade:
        raise Malformed(f"{signed.entry.type.name} belongs to no trade")
    return signed


def _key_entry(value: object) -> SignedEntry:
    signed = entry_from_json(value)
    if signed.entry.type is not EntryType.KEY:
        raise Malformed(f"{signed.entry.type.name} says nothing of keys")
    return signed


def _note(value: object) -> Note | None:
    if not isinstance(value, str):
        raise Malformed("a checkpoint is a text")
    return Note.parse(value.encode("utf-8", "replace")[: MAX_NOTE_BYTES + 1]) if value else None


def _proof(value: object) -> tuple[bytes, ...]:
    return tuple(octets_of(each) for each in list_of(value, MAX_PROOF_HASHES))


def _sized(name: str, value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise Malformed(f"{name} has {size} bytes")
    return value
