"""A ledger of schema 1, as that version of the software left it: two settled trades, seen by the client."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from ledger import cbor, schema
from ledger.audit import Report, verify
from ledger.reader import LedgerReader
from ledger.signing import Signer
from ledger.store import Ledger
from v2xnode.settling.money import posting_rule

FILE: Final = Path(__file__).parents[1] / "vectors" / "ledger" / "schema-1.sqlite"
OWNER: Final = Signer(bytes([2]) * 32)
OWED_MICRO: Final = 250 + 70
COVERED: Final = ("meta", "message", "entry", "posting")
TABLES: Final = (*COVERED, "outbox", "lock", "document")


def open_old(path: Path) -> Ledger:
    return Ledger.open(path, OWNER, posting_rule=posting_rule)


def verified(path: Path) -> Report:
    with LedgerReader.open(path) as reader:
        return verify(reader, posting_rule)


def dump(path: Path) -> dict[str, list[dict[str, object]]]:
    """All rows of all tables of schema 1, without what each schema says for itself."""
    with closing(sqlite3.connect(path)) as driver:
        driver.row_factory = sqlite3.Row
        found = {table: driver.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}  # noqa: S608
    own = (("meta", "value", schema.META_SCHEMA), ("entry", "arrival", None))
    rows = {table: [dict(row) for row in found[table]] for table in TABLES}
    for table, column, name in own:
        for row in rows[table]:
            if name in (None, row.get("name")):
                del row[column]
    return rows


def version(path: Path) -> tuple[object, int]:
    """(what `meta` says, what SQLite's own mark says)."""
    with closing(sqlite3.connect(path)) as driver:
        (said,) = driver.execute("SELECT value FROM meta WHERE name = ?", (schema.META_SCHEMA,)).fetchone()
        (mark,) = driver.execute("PRAGMA user_version").fetchone()
    return cbor.decode(said), mark
