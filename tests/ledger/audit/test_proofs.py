"""What a chain says about itself and others is computed again: each wrong word is named with its reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.audit.rows import Fault
from ledger.audit.verify import verify
from ledger.entry import EntryType
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.merkle import leaf_hash, root_of
from ledger.proofs.note import Note
from ledger.proofs.proving import Cosignature, HeldCheckpoint, append_checkpoint, append_witness
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from ledger.witnessing.fork import ForkProof, Statement, fork_of_entries
from ledger.witnessing.forks import keep_fork
from ledger.witnessing.witness import show
from tests.ledger.world import CLIENT, EPOCH, PROVIDER, Chain, open_ledger, rule, trade

AT_S = 1_800_000_000
Wrong = Callable[[HeldCheckpoint], tuple[EntryType, bytes, bytes]]


def audited(path: Path) -> Fault | None:
    with LedgerReader.open(path) as reader:
        return verify(reader, rule).fault


def proof() -> ForkProof:
    chain = Chain()
    return fork_of_entries(chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"other"))


def theirs(size: int = 7) -> Note:
    return sign_checkpoint(PROVIDER, Checkpoint(origin_of(PROVIDER.public, EPOCH), size, bytes([size]) * 32))


def checkpointed(ledger: Ledger) -> HeldCheckpoint:
    trade(ledger, intervals=1)
    held = ledger.transact(append_checkpoint)
    line = cosign(PROVIDER, PROVIDER.public, held.checkpoint, AT_S)
    ledger.transact(lambda tx: append_witness(tx, held.stored.hash, Cosignature(PROVIDER.public, line)))
    ledger.transact(lambda tx: show(tx, theirs(), 0, [], AT_S))
    return held


def test_a_ledger_with_all_of_them_holds(path: Path) -> None:
    with open_ledger(path) as ledger:
        checkpointed(ledger)
        ledger.transact(lambda tx: keep_fork(tx, proof()))
        ledger.transact(append_checkpoint)
    assert audited(path) is None


def next_text(held: HeldCheckpoint, **fields: object) -> Checkpoint:
    """A checkpoint for the place behind the cosignature, with something else in it."""
    checkpoint = replace(held.checkpoint, size=held.stored.entry.seq + 2, root=bytes(32))
    return replace(checkpoint, **fields)  # type: ignore[arg-type]


def note_body(checkpoint: Checkpoint, signer: Signer = CLIENT) -> bytes:
    return bytes(sign_checkpoint(signer, checkpoint))


def twice_signed(checkpoint: Checkpoint) -> bytes:
    own = sign_checkpoint(CLIENT, checkpoint).signatures
    return bytes(Note(checkpoint.text, (*own, cosign(PROVIDER, PROVIDER.public, checkpoint, AT_S))))


def cosignature(held: HeldCheckpoint, signer: Signer, name: bytes, key: bytes) -> bytes:
    return Cosignature(key, cosign(signer, name, held.checkpoint, AT_S)).encode()


def forged_fork() -> bytes:
    honest = proof()
    return replace(honest, second=Statement(honest.second.payload, honest.first.signature)).encode()


WRONG: dict[str, tuple[str, Wrong]] = {
    "another_root": ("wrong_checkpoint", lambda held: (EntryType.CHECKPOINT, note_body(next_text(held)), b"")),
    "another_size": (
        "wrong_checkpoint",
        lambda held: (EntryType.CHECKPOINT, note_body(held.checkpoint), b""),
    ),
    "another_epoch": (
        "wrong_checkpoint",
        lambda held: (
            EntryType.CHECKPOINT,
            note_body(next_text(held, origin=origin_of(CLIENT.public, bytes(8)))),
            b"",
        ),
    ),
    "another_signer": (
        "bad_signature",
        lambda held: (EntryType.CHECKPOINT, note_body(next_text(held), PROVIDER), b""),
    ),
    "two_signatures": ("malformed", lambda held: (EntryType.CHECKPOINT, twice_signed(next_text(held)), b"")),
    "no_note": ("malformed", lambda held: (EntryType.CHECKPOINT, b"text", b"")),
    "cosignature_on_nothing": (
        "wrong_checkpoint",
        lambda held: (
            EntryType.WITNESS,
            cosignature(held, PROVIDER, PROVIDER.public, PROVIDER.public),
            bytes(32),
        ),
    ),
    "cosignature_by_another": (
        "bad_signature",
        lambda held: (
            EntryType.WITNESS,
            cosignature(held, CLIENT, PROVIDER.public, PROVIDER.public),
            held.stored.hash,
        ),
    ),
    "cosignature_of_a_made_up_key": (
        "bad_signature",
        lambda held: (
            EntryType.WITNESS,
            cosignature(held, CLIENT, PROVIDER.public, CLIENT.public),
            held.stored.hash,
        ),
    ),
    "no_cosignature": ("malformed", lambda held: (EntryType.WITNESS, b"\xa0", held.stored.hash)),
    "forged_fork": ("bad_signature", lambda held: (EntryType.FORK, forged_fork(), b"")),
    "no_fork": ("malformed", lambda held: (EntryType.FORK, b"\xa0", b"")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(path: Path, name: str) -> None:
    code, make = WRONG[name]
    with open_ledger(path) as ledger:
        type_, body, answers = make(checkpointed(ledger))
        ledger.transact(lambda tx: tx.append(type_, body, answers=answers))
        position = ledger.transact(last_position)
    fault = audited(path)
    assert fault is not None
    assert (fault.table, fault.position, fault.column, fault.code) == ("entry", position, "body", code)


def test_a_checkpoint_is_of_all_entries_before_it(path: Path) -> None:
    """Its root is right, and its size is one more: the key and the place of another checkpoint."""
    with open_ledger(path) as ledger:
        held = checkpointed(ledger)
        own = ledger.transact(lambda tx: tx.payloads(CLIENT.public, held.epoch, 0, 1_000))
        root = root_of(leaf_hash(payload) for payload in own)
        body = note_body(replace(held.checkpoint, size=len(own) + 1, root=root))
        ledger.transact(lambda tx: tx.append(EntryType.CHECKPOINT, body))
    fault = audited(path)
    assert fault is not None
    assert fault.code == "wrong_checkpoint"


def last_position(transaction: Transaction) -> int:
    head = transaction.head()
    assert head is not None
    return head.position


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("node", CLIENT.public, "column_differs"),
        ("epoch", bytes(8), "column_differs"),
        ("size", 8, "column_differs"),
        ("root", bytes(32), "column_differs"),
        ("note", bytes(theirs(8)), "column_differs"),
        ("note", bytes(theirs()).replace(b"\n7\n", b"\n8\n"), "bad_signature"),
        ("note", b"note", "malformed"),
    ],
)
def test_a_changed_memory_of_a_peer_is_named(path: Path, column: str, value: object, code: str) -> None:
    with open_ledger(path) as ledger:
        checkpointed(ledger)
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute(f"UPDATE witnessed SET {column} = ?", (value,))  # noqa: S608
    fault = audited(path)
    assert fault is not None
    assert (fault.table, fault.position, fault.code) == ("witnessed", 1, code)
