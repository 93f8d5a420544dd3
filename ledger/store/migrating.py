"""An older database becomes one of the newest schema before anything else is done with it: all of it, or nothing."""

from __future__ import annotations

from ledger.store import migrations, schema
from ledger.store.database import Database
from ledger.store.version import EMPTY, version_of


def bring_up_to_date(database: Database) -> None:
    """Keep a copy of a database that is older than this software, then migrate it.

    Nothing happens to a new or a current one. Killed or failing at any moment, it leaves the old one as it was.
    Raises StoreFailed, NotDurable, LedgerHeld, UnknownSchema, or Corrupt when a row is not what was written.
    """
    with database.for_migration().connect() as connection, connection.begin():
        version = version_of(connection)
        if version in (EMPTY, schema.SCHEMA_VERSION):
            return
        database.keep_copy(connection, version)
        migrations.upgrade(connection, version, to=schema.SCHEMA_VERSION)
        database.check_migrated(connection)
