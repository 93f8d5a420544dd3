"""An older database becomes one of the newest schema before anything else is done with it: all of it, or nothing."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from ledger import migrations, schema
from ledger.copies import keep_copy
from ledger.database import open_for_migration
from ledger.errors import Corrupt
from ledger.version import EMPTY, version_of


def bring_up_to_date(path: Path) -> None:
    """Copy the database at `path`, then migrate it, when it is older than this software.

    Nothing happens to a new or a current one. Killed or failing at any moment, it leaves the old one as it was.
    Raises StoreFailed, NotDurable, UnknownSchema, or Corrupt when a row is not what was written.
    """
    if not path.exists():
        return
    engine = open_for_migration(path)
    with engine.connect() as connection, connection.begin():
        version = version_of(connection)
        if version in (EMPTY, schema.SCHEMA_VERSION):
            return
        keep_copy(path, version)
        migrations.upgrade(connection, version, to=schema.SCHEMA_VERSION)
        _check_references(connection)


def _check_references(connection: Connection) -> None:
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise Corrupt("a row refers to an entry that is not there; nothing was migrated")
