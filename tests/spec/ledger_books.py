"""A ledger as rows in a vector's file, changed as the file says, and put into a database again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import LargeBinary, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from ledger.store import schema
from ledger.store.reader import LedgerReader

Row = dict[str, Any]
Rows = dict[str, list[Row]]

TABLES: Final = (schema.meta, schema.message, schema.entry, schema.posting, schema.witnessed)
EMPTY: Final = (schema.outbox, schema.lock, schema.document)
ARRIVALS: Final = {
    "message": ("position", "kind", "signer", "payload", "signature", "request_id"),
    "entry": ("position", "payload", "signature", "request_id"),
}
"""Columns under the running hash."""


def dumped(path: Path) -> Rows:
    """All rows of the tables that `verify` covers; bytes as hexadecimal."""
    with LedgerReader.open(path) as reader:
        return {table.name: _rows(reader, table) for table in TABLES}


def _rows(reader: LedgerReader, table: Table) -> list[Row]:
    order = list(table.primary_key.columns)
    found = reader.connection.execute(table.select().order_by(*order)).mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def changed(rows: Rows, changes: Iterable[Row]) -> Rows:
    """The rows after each change: {"table", "row", "set": {column: value}}, {"table", "delete": row},
    {"table", "swap": [row, row]}, {"table", "behind": row} (what comes later is cut off) or {"table", "arrivals": true}
    (the running hash is made anew, as whoever tampers would)."""
    after = {name: [dict(row) for row in table] for name, table in rows.items()}
    for change in changes:
        after[change["table"]] = _changed(change["table"], after[change["table"]], change)
    return after


def _changed(name: str, table: list[Row], change: Row) -> list[Row]:
    match change:
        case {"row": number, "set": values}:
            table[number - 1].update(values)
        case {"delete": number}:
            del table[number - 1]
        case {"swap": [one, other]}:
            table[one - 1]["position"], table[other - 1]["position"] = other, one
            table.sort(key=lambda row: int(row["position"]))
        case {"behind": number}:
            del table[number:]
        case {"arrivals": True}:
            _renew(name, table)
        case _:
            raise ValueError(f"no such change: {change}")
    return table


def _renew(name: str, table: list[Row]) -> None:
    before = schema.NO_ARRIVAL
    for row in table:
        columns = [_stored(getattr(schema, name), each, row[each]) for each in ARRIVALS[name]]
        before = schema.arrival(before, *columns)
        row["arrival"] = before.hex()


def _stored(table: Table, column: str, value: Any) -> Any:
    is_bytes = isinstance(table.c[column].type, LargeBinary)
    return bytes.fromhex(value) if is_bytes and value is not None else value


def written(path: Path, rows: Rows) -> Path:
    """A database with these rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
        driver.execute("BEGIN")
        for table in (*TABLES, *EMPTY):
            driver.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for table in TABLES:
            for row in rows[table.name]:
                values = [_stored(table, name, value) for name, value in row.items()]
                columns, marks = ", ".join(row), ", ".join("?" * len(row))
                driver.execute(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", values)  # noqa: S608
        driver.execute("COMMIT")
    return path
