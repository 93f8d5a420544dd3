"""A tail that was cut off, and a history that was rewritten, against a checkpoint that somebody kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.audit.against import check_against
from ledger.audit.rows import Fault
from ledger.audit.verify import verify
from ledger.entry import EntryType
from ledger.errors import BadSignature, Foreign, LedgerError, Malformed, Revoked, UnknownOrigin
from ledger.keys.bodies import commitment_to
from ledger.own.key_changes import succeed
from ledger.proofs.checkpoint import Checkpoint, origin_of, sign_checkpoint
from ledger.proofs.note import Note
from ledger.proofs.proving import HeldCheckpoint, append_checkpoint
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from tests.ledger.key_world import OFFLINE, OTHER
from tests.ledger.world import CLIENT, PROVIDER, open_ledger, rule, trade


@pytest.fixture
def held(path: Path) -> HeldCheckpoint:
    """A checkpoint that somebody kept of a ledger which went on."""
    with open_ledger(path) as ledger:
        trade(ledger)
        kept = ledger.transact(append_checkpoint)
        ledger.transact(lambda tx: tx.append(EntryType.NET, b"later"))
    return kept


def compared(path: Path, note: Note) -> Fault | None:
    with LedgerReader.open(path) as reader:
        return check_against(reader, note)


def cut(path: Path, behind: int) -> None:
    """As a card does that gives back what it held yesterday: whole transactions are gone, and nothing else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("DELETE FROM outbox")
        driver.execute("DELETE FROM posting WHERE entry_hash IN (SELECT hash FROM entry WHERE position > ?)", (behind,))
        driver.execute("DELETE FROM entry WHERE position > ?", (behind,))


def test_a_ledger_that_grew_out_of_it_holds(path: Path, held: HeldCheckpoint) -> None:
    assert compared(path, held.note) is None


@pytest.mark.parametrize(("fewer", "named"), [(3, "entry 4 is missing"), (5, "entries 3 to 4 are missing")])
def test_a_missing_tail_is_named(path: Path, held: HeldCheckpoint, fewer: int, named: str) -> None:
    cut(path, held.stored.position - fewer)
    with LedgerReader.open(path) as reader:
        assert verify(reader, rule).ok
    fault = compared(path, held.note)
    assert fault is not None
    assert fault.code == "truncated"
    assert named in fault.sentence


def test_an_epoch_that_is_gone_is_missing_as_a_whole(path: Path, held: HeldCheckpoint) -> None:
    later = Checkpoint(origin_of(CLIENT.public, bytes(8)), 3, bytes(32))
    fault = compared(path, sign_checkpoint(CLIENT, later))
    assert fault is not None
    assert (fault.code, "entries 0 to 2 are" in fault.sentence) == ("truncated", True)


def test_a_rewritten_history_is_told(path: Path, held: HeldCheckpoint) -> None:
    other = sign_checkpoint(CLIENT, replace(held.checkpoint, root=bytes(32)))
    fault = compared(path, other)
    assert fault is not None
    assert fault.code == "rewritten"


def wrong(held: HeldCheckpoint) -> list[tuple[type[LedgerError], Note]]:
    size, root = held.checkpoint.size, held.checkpoint.root
    return [
        (Foreign, sign_checkpoint(PROVIDER, Checkpoint(origin_of(PROVIDER.public, held.epoch), size, root))),
        (BadSignature, replace(held.note, text=held.note.text.replace(f"\n{size}\n", f"\n{size + 1}\n"))),
        (BadSignature, sign_checkpoint(PROVIDER, held.checkpoint)),
        (UnknownOrigin, sign_checkpoint(CLIENT, replace(held.checkpoint, origin="example.com/log"))),
        (Malformed, replace(held.note, text="text\n")),
    ]


def test_what_is_no_checkpoint_of_it_says_nothing(path: Path, held: HeldCheckpoint) -> None:
    for error, note in wrong(held):
        with pytest.raises(error):
            compared(path, note)


def test_a_revoked_key_does_not_speak_against_the_ledger(path: Path) -> None:
    with Ledger.open(path, CLIENT, posting_rule=rule, commitment=commitment_to(OFFLINE.public)) as ledger:
        ledger.transact(lambda tx: tx.append(EntryType.NET, b"before"))
        held = ledger.transact(append_checkpoint)
        ledger.transact(lambda tx: succeed(tx, OFFLINE, OTHER, commitment_to(OFFLINE.public)))
    assert compared(path, held.note) is None
    forged = replace(held.checkpoint, root=bytes(32))
    for made_up in (forged, replace(forged, size=9)):
        with pytest.raises(Revoked):
            compared(path, sign_checkpoint(CLIENT, made_up))
