"""Checks what a ledger's own chain says about itself and others: CHECKPOINT, WITNESS and FORK entries, and the table of
checkpoints witnessed. For `audit`, which has checked each row as an entry before it comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import Connection

from ledger.audit.own_chain import OwnChain
from ledger.audit.rows import AnyRow, counted, demand_equal, judge
from ledger.entry import EntryType, SignedEntry
from ledger.errors import Malformed, WrongCheckpoint
from ledger.keys.key_history import KeyHistory
from ledger.proofs.checkpoint import Checkpoint, open_checkpoint, origin_of
from ledger.proofs.note import Note
from ledger.proofs.proving import Cosignature
from ledger.store import schema
from ledger.witnessing.fork import ForkProof

KeysOf: TypeAlias = Callable[[bytes], KeyHistory]
"""The keys of a node, as far as they were shown before the row that is looked at."""


class ProofAudit:
    """Given the entries of our own, in the order of arrival, after the chain that they make (`own`)."""

    def __init__(self, keys_of: KeysOf, own: OwnChain) -> None:
        self._keys_of = keys_of
        self._own = own
        self._checkpoints: dict[bytes, Checkpoint] = {}

    def take(self, signed: SignedEntry) -> None:
        """Raises WrongCheckpoint, or what checkpoints, cosignatures and fork proofs raise."""
        match signed.entry.type:
            case EntryType.CHECKPOINT:
                self._check_checkpoint(signed)
            case EntryType.WITNESS:
                self._check_witness(signed)
            case EntryType.FORK:
                proof = ForkProof.parse(signed.body)
                proof.check(self._keys_of(proof.node))

    def _check_checkpoint(self, signed: SignedEntry) -> None:
        entry = signed.entry
        note = Note.parse(signed.body)
        checkpoint = _said(note)
        if (checkpoint.origin, checkpoint.size) != (origin_of(entry.node, entry.epoch), entry.seq):
            raise WrongCheckpoint("the checkpoint is not of the entries before it")
        _opened(note, self._keys_of(entry.node))
        if entry == self._own.head and checkpoint.root != self._own.root_before():
            raise WrongCheckpoint(f"the root is not that of the first {entry.seq} entries of this epoch")
        self._checkpoints[entry.hash] = checkpoint

    def _check_witness(self, signed: SignedEntry) -> None:
        checkpoint = self._checkpoints.get(signed.entry.answers)
        cosignature = Cosignature.parse(signed.body)
        if checkpoint is not None:
            cosignature.check(checkpoint, self._keys_of(cosignature.witness))
        elif signed.entry == self._own.head:  # one that was lost and shown to us again may have lost its checkpoint
            raise WrongCheckpoint("the cosignature answers no checkpoint of this chain")


def check_witnessed(connection: Connection, keys_of: KeysOf) -> None:
    """Each remembered checkpoint is what its node signed. Raises Found. Of `at_ms` nobody else knows."""
    for count, row in counted(connection, schema.witnessed, "node", "epoch"):
        judge(schema.witnessed.name, count, _check_remembered, row, keys_of)


def _check_remembered(row: AnyRow, keys_of: KeysOf) -> None:
    note = Note.parse(row.note)
    demand_equal("node", row.node, Checkpoint.parse(note.text).place[0], "the note")
    checkpoint = _opened(note, keys_of(row.node))
    demand_equal("epoch", row.epoch, checkpoint.place[1], "the note")
    demand_equal("size", row.size, checkpoint.size, "the note")
    demand_equal("root", row.root, checkpoint.root, "the note")


def _said(note: Note) -> Checkpoint:
    """What a kept note says; its signature is not checked yet."""
    checkpoint = Checkpoint.parse(note.text)
    if len(note.signatures) != 1:
        raise Malformed("a kept checkpoint has the signature of its node, and no other")
    return checkpoint


def _opened(note: Note, keys: KeyHistory) -> Checkpoint:
    """The checkpoint of a note that carries its node's signature and no other."""
    checkpoint = _said(note)
    _, epoch = checkpoint.place
    return open_checkpoint(note, keys.key_at(epoch, checkpoint.size))
