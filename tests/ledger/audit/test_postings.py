"""Postings are derived while entries are checked; what is wrong with them is told after what is wrong with those."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.audit.verify import Report, verify
from ledger.store.reader import LedgerReader
from tests.ledger.world import open_ledger, rule, trade

POSTING = "UPDATE posting SET amount_micro = amount_micro + 1 WHERE position = 1"


def report(path: Path, *statements: str) -> Report:
    with open_ledger(path) as ledger:
        trade(ledger)
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        for statement in statements:
            driver.execute(statement)
    with LedgerReader.open(path) as reader:
        return verify(reader, rule)


@pytest.mark.parametrize("column", ["signature", "body", "arrival"])
def test_an_entry_that_does_not_hold_comes_before_any_posting(path: Path, column: str) -> None:
    told = report(path, POSTING, f"UPDATE entry SET {column} = zeroblob(16) WHERE position = 9")  # noqa: S608
    assert told.fault is not None
    assert (told.fault.table, told.fault.position, told.fault.column) == ("entry", 9, column)


def test_the_first_posting_that_does_not_hold_is_named_and_all_entries_were_checked(path: Path) -> None:
    told = report(path, POSTING, "DELETE FROM posting WHERE position = 2")
    assert told.fault is not None
    assert (told.fault.table, told.fault.position) == ("posting", 1)
    assert (told.entries, told.postings) == (10, 0)


def test_what_is_missing_at_the_end_is_named(path: Path) -> None:
    told = report(path, "DELETE FROM posting WHERE position = (SELECT max(position) FROM posting)")
    assert told.fault is not None
    assert (told.fault.table, told.fault.position, told.fault.code) == ("posting", told.postings + 1, "gap")
