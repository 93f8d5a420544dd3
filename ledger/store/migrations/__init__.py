"""From an older schema to the newest, revision by revision, in one transaction.

Each file in `versions` takes the database from one version to the next and stays as it is for ever; its `revision` is
the number that `schema.SCHEMA_VERSION` then was. There is no way back: `copies` keeps the database as it was before.
Alembic is imported only here, and only when a database is older.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from ledger.store.version import EMPTY, record_version

DIRECTORY: Final = Path(__file__).parent


def upgrade(connection: Connection, version: int, *, to: int) -> None:
    """Bring the tables from `version` to version `to`; the caller commits, or rolls all of it back.

    In SQLite the connection must not watch foreign keys meanwhile: a table is changed by making it anew.
    Raises Corrupt for rows that do not hold.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with Operations.context(MigrationContext.configure(connection)):
        for revision in _revisions(version, to):
            revision.module.upgrade()
            record_version(connection, int(revision.revision))


def _revisions(version: int, to: int) -> list[Any]:
    """Those behind `version` up to `to`, the oldest first."""
    from alembic.script import ScriptDirectory

    base = "base" if version == EMPTY else str(version)
    newest_first = list(ScriptDirectory(str(DIRECTORY)).iterate_revisions(str(to), base))
    return newest_first[::-1]
