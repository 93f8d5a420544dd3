"""The tables as the first version of this software made them. Such a database is never made again but by tests."""

from __future__ import annotations

from alembic import op
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
)

revision = "1"
down_revision = None

INT64 = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

Table(
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
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("arrival", LargeBinary, nullable=False),
    UniqueConstraint("node", "epoch", "seq"),
    Index("entry_node", "node", "position"),
    Index("entry_request", "request_id", "position"),
    sqlite_strict=True,
)

Table(
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

Table(
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

Table(
    "outbox",
    metadata,
    Column("id", INT64, primary_key=True),
    Column("peer", LargeBinary, nullable=False),
    Column("request_id", LargeBinary, nullable=True),
    Column("entry_hash", LargeBinary, ForeignKey(entry.c.hash), nullable=False),
    UniqueConstraint("peer", "entry_hash"),
    sqlite_strict=True,
)

Table(
    "lock",
    metadata,
    Column("request_id", LargeBinary, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("quantity", INT64, nullable=False),
    Column("from_ms", INT64, nullable=False),
    Column("until_ms", INT64, nullable=False),
    sqlite_strict=True,
)

Table(
    "document",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_strict=True,
)


def upgrade() -> None:
    metadata.create_all(op.get_bind())
