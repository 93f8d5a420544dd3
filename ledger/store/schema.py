"""The tables. STRICT in SQLite: a value of the wrong type is refused at the door.

Covered by `audit.verify`, every column of every row: `meta`, `message`, `entry`, `posting`. Each has a contiguous
`position` from 1 in the order of arrival, and a running hash binds the order in which messages and entries came.
`witnessed` is covered but for `at_ms`: each row is what its node signed. That a row is there, nothing shows.

Caches, not covered: `outbox` (copies of what is in `entry`; an entry too few is repeated when the peer asks, one
too many is answered by an idempotent receiver), `lock` (follows from confirms and closes), `document` (the node's
small working state, which any restart may find stale). Changing them can cost a trade, never a signed amount.

This is the newest schema, as a new database gets it at once; `migrations` brings an older one here. Whoever changes
a table raises `SCHEMA_VERSION` and writes the revision of that number.
"""

from __future__ import annotations

import hashlib
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger import cbor

SCHEMA_VERSION: Final = 2
"""Of the tables below. A database says its own in `meta` (see `version`)."""

META_SCHEMA: Final = "schema"
META_NODE: Final = "node"

NO_ARRIVAL: Final = bytes(32)
"""What the first row's running hash continues."""

_MAX_ROW_BYTES: Final = 4 * cbor.MAX_BYTES
"""Room for a row's payload, body and signature together."""

INT64: Final = BigInteger().with_variant(Integer(), "sqlite")
"""Positions, sequence numbers, energy, money."""

_APART: Final = text("request_id IS NULL")

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("position", INT64, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_strict=True,
)

entry = Table(
    "entry",
    metadata,
    Column("position", INT64, primary_key=True, autoincrement=False),
    Column("node", LargeBinary, nullable=False),
    Column("epoch", LargeBinary, nullable=False),
    Column("seq", INT64, nullable=False),
    Column("type", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("payload", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("request_id", LargeBinary, nullable=True),
    Column("salt", LargeBinary, nullable=True),
    Column("body", LargeBinary, nullable=True),
    Column("arrival", LargeBinary, nullable=False),
    UniqueConstraint("node", "epoch", "seq"),
    Index("entry_node", "node", "position"),
    Index("entry_request", "request_id", "position"),
    # keys, checkpoints, nettings: few among many, and asked for by type
    Index("entry_apart", "type", "node", "position", sqlite_where=_APART, postgresql_where=_APART),
    sqlite_strict=True,
)

message = Table(
    "message",
    metadata,
    Column("position", INT64, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("kind", Integer, nullable=False),
    Column("signer", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("request_id", LargeBinary, nullable=False),
    Column("arrival", LargeBinary, nullable=False),
    Index("message_request", "request_id", "position"),
    sqlite_strict=True,
)

posting = Table(
    "posting",
    metadata,
    Column("position", INT64, primary_key=True, autoincrement=False),
    Column("entry_hash", LargeBinary, ForeignKey(entry.c.hash), nullable=False),
    Column("line", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_micro", INT64, nullable=False),
    Column("state", Text, nullable=False),
    UniqueConstraint("entry_hash", "line"),
    Index("posting_account", "account", "currency"),
    sqlite_strict=True,
)

witnessed = Table(
    "witnessed",
    metadata,
    Column("node", LargeBinary, primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("size", INT64, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("at_ms", INT64, nullable=False),
    sqlite_strict=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", INT64, primary_key=True),
    Column("peer", LargeBinary, nullable=False),
    Column("request_id", LargeBinary, nullable=True),
    Column("entry_hash", LargeBinary, ForeignKey(entry.c.hash), nullable=False),
    UniqueConstraint("peer", "entry_hash"),
    sqlite_strict=True,
)

lock = Table(
    "lock",
    metadata,
    Column("request_id", LargeBinary, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("quantity", INT64, nullable=False),
    Column("from_ms", INT64, nullable=False),
    Column("until_ms", INT64, nullable=False),
    sqlite_strict=True,
)

document = Table(
    "document",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_strict=True,
)


def arrival(before: bytes, *columns: int | bytes | None) -> bytes:
    """The running hash of a row: SHA-256 over the one before and the row's columns, in the order given."""
    row = cbor.encode([b"" if column is None else column for column in columns], max_bytes=_MAX_ROW_BYTES)
    return hashlib.sha256(before + row).digest()
