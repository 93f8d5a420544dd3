"""Bodies may be dropped, the newest checkpoint of each peer is kept, entries of no trade are found by their type.

The running hash of entries leaves salt and body out from here on: the payload commits to both, and a row that has
lost them must still show its place in the order of arrival. Every old hash is checked before it is replaced, so that
a row that was changed is not made good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from ledger import cbor
from ledger.errors import Corrupt
from ledger.store.migrations.versions.schema_1 import INT64, entry

revision = "2"
down_revision = "1"

NO_ARRIVAL = bytes(32)
PAGE_ROWS = 500
"""Half a megabyte of entries in memory at a time."""


def upgrade() -> None:
    with op.batch_alter_table("entry", copy_from=entry) as batch:
        batch.alter_column("salt", existing_type=sa.LargeBinary(), nullable=True)
        batch.alter_column("body", existing_type=sa.LargeBinary(), nullable=True)
    apart = sa.text("request_id IS NULL")
    op.create_index("entry_apart", "entry", ["type", "node", "position"], sqlite_where=apart, postgresql_where=apart)
    op.create_table(
        "witnessed",
        sa.Column("node", sa.LargeBinary, primary_key=True),
        sa.Column("epoch", sa.LargeBinary, primary_key=True),
        sa.Column("size", INT64, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sa.Column("at_ms", INT64, nullable=False),
        sqlite_strict=True,
    )
    _renew_arrivals()


def _renew_arrivals() -> None:
    old = new = NO_ARRIVAL
    renew = sa.update(entry).where(entry.c.position == sa.bindparam("at")).values(arrival=sa.bindparam("new"))
    for page in _pages():
        renewed = []
        for row in page:
            of_both = (row.position, row.payload, row.signature, row.request_id)
            old, new = _arrival(old, *of_both, row.salt, row.body), _arrival(new, *of_both)
            if row.arrival != old:
                raise Corrupt(f"entry row {row.position} is not what was written; nothing was migrated")
            renewed.append({"at": row.position, "new": new})
        op.get_bind().execute(renew, renewed)


def _pages() -> Iterator[Sequence[Any]]:
    after = 0
    query = sa.select(entry).order_by(entry.c.position).limit(PAGE_ROWS)
    while page := op.get_bind().execute(query.where(entry.c.position > after)).all():
        yield page
        after = page[-1].position


def _arrival(before: bytes, *columns: int | bytes | None) -> bytes:
    row = cbor.encode([b"" if column is None else column for column in columns], max_bytes=4 * cbor.MAX_BYTES)
    return hashlib.sha256(before + row).digest()
