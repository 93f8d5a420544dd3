"""A ledger of schema 1, as that version of the software left it: two settled trades, seen by the client."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger import cbor
from ledger.audit.verify import Report, verify
from ledger.signing import Signer
from ledger.store import schema
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from tests.ledger.hands import Where, asked
from v2xnode.settling.money import posting_rule

FILE: Final = Path(__file__).parents[1] / "vectors" / "ledger" / "schema-1.sqlite"
OWNER: Final = Signer(bytes([2]) * 32)
OWED_MICRO: Final = 250 + 70
COVERED: Final = ("meta", "message", "entry", "posting")
TABLES: Final = (*COVERED, "outbox", "lock", "document")
OTHERS: Final = {
    "meta": "position, name",
    "entry": "position, node, epoch, seq, type, hash, payload, signature, request_id, salt, body",
}
"""All columns but those."""


def open_old(where: Where) -> Ledger:
    return Ledger.open(where, OWNER, posting_rule=posting_rule)


def verified(where: Where) -> Report:
    with LedgerReader.open(where) as reader:
        return verify(reader, posting_rule)


def dump(where: Where, prefix: str = "") -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables of schema 1, without what each schema says for itself."""
    return {table: rows(where, table, OTHERS.get(table, "*"), prefix) for table in TABLES}


def rows(where: Where, table: str, columns: str = "*", prefix: str = "") -> list[tuple[object, ...]]:
    return asked(where, f"SELECT {columns} FROM {prefix}{table} ORDER BY 1")  # noqa: S608


def version(where: Where) -> tuple[object, int]:
    """(what `meta` says, what SQLite's own mark says)."""
    ((said,),) = asked(where, "SELECT value FROM meta WHERE name = ?", schema.META_SCHEMA)
    ((mark,),) = asked(where, "PRAGMA user_version") if isinstance(where, Path) else ((0,),)
    return cbor.decode(said), mark
