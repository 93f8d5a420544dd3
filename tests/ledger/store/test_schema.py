"""What the tables refuse by themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Table

from ledger.store import schema
from tests.ledger.world import open_ledger


@pytest.mark.parametrize("table", list(schema.metadata.tables.values()), ids=lambda table: table.name)
def test_every_table_is_strict(path: Path, table: Table) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as driver:
        strict = driver.execute("SELECT strict FROM pragma_table_list WHERE name = ?", (table.name,)).fetchone()
    assert strict == (1,)


def test_the_running_hash_tells_order_columns_and_absence_apart() -> None:
    first = schema.arrival(schema.NO_ARRIVAL, 1, b"a", b"b")
    others = [
        schema.arrival(schema.NO_ARRIVAL, 2, b"a", b"b"),
        schema.arrival(schema.NO_ARRIVAL, 1, b"ab", b""),
        schema.arrival(schema.NO_ARRIVAL, 1, b"ab"),
        schema.arrival(first, 1, b"a", b"b"),
    ]
    assert len({first, *others}) == 5
