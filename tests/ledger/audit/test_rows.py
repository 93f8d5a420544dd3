"""Rows as they are, and how a fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.audit.rows import Broken, Fault, Found, demand_equal, judge, numbered, walk
from ledger.errors import Gap
from ledger.store import schema
from ledger.store.reader import LedgerReader
from tests.ledger.world import open_ledger, trade


def test_rows_come_numbered_and_raw(path: Path) -> None:
    with open_ledger(path) as ledger:
        trade(ledger)
    with LedgerReader.open(path) as reader:
        seen = [
            (position, row.position, type(row.payload)) for position, row in numbered(reader.connection, schema.entry)
        ]
        assert seen == [(n, n, bytes) for n in range(1, len(seen) + 1)]
        assert walk(reader.connection, schema.entry, lambda row: None) == len(seen) > 5


def test_what_a_check_raises_gets_its_place() -> None:
    def broken() -> None:
        raise Broken("hash", "column_differs", "no")

    def gap() -> None:
        raise Gap("seq 3 where 2 was due")

    with pytest.raises(Found) as caught:
        judge("entry", 4, broken)
    assert caught.value.fault == Fault("entry", 4, "hash", "column_differs", "no")
    with pytest.raises(Found) as caught:
        judge("entry", 4, gap)
    assert (caught.value.fault.code, caught.value.fault.column) == ("gap", "")


@pytest.mark.parametrize(("stored", "computed"), [(1, True), (b"a", "a"), (1, 2), (1, 1.0)])
def test_equal_means_the_same_type_too(stored: object, computed: object) -> None:
    demand_equal("line", stored, stored, "entry")
    with pytest.raises(Broken):
        demand_equal("line", stored, computed, "entry")


def test_a_fault_says_where_and_why() -> None:
    assert str(Fault("posting", 3, "state", "column_differs", "not so")) == (
        "row 3 of posting, state: not so (column_differs)"
    )
    assert str(Fault("database", 0, "", "corrupt", "damaged")) == "database: damaged (corrupt)"
