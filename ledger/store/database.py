"""What keeps a ledger's rows, and the one border where its exceptions are translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ledger.errors import Damaged, StoreFailed
from ledger.store.postgres import Postgres
from ledger.store.sqlite import SqliteFile

DATABASE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error, OSError, UnicodeDecodeError)
"""All that a damaged file makes the driver raise; the last when SQLite quotes damaged text in its own message."""

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database(Protocol):
    """Where one ledger is kept. The first connection of an engine raises what is wrong with the place."""

    def for_writing(self) -> Engine:
        """One connection that alone may write, whose commits are on the disk. Raises NotDurable, LedgerHeld."""

    def for_migration(self) -> Engine:
        """The same, for `migrations.upgrade`."""

    def for_reading(self) -> Engine:
        """Connections that can't change anything, each of whose transactions sees one moment."""

    def keep_copy(self, connection: Connection, version: int) -> None:
        """Keep all that there is, of schema `version`, before it is migrated. Raises StoreFailed."""

    def check_migrated(self, connection: Connection) -> None:
        """What the database itself did not watch during a migration. Raises Corrupt."""


def database_at(where: Path | str) -> Database:
    """A SQLite file by its path, or a PostgreSQL database by its URL. Raises StoreFailed for a URL of another kind."""
    return SqliteFile(where) if isinstance(where, Path) else Postgres(where)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the database raises into StoreFailed."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise store_failed(error) from error


def store_failed(error: BaseException) -> StoreFailed:
    """What stands for one of `DATABASE_ERRORS`."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlite_errorcode", None) in _DAMAGE:
        return Damaged(f"the ledger's database is damaged, or no database: {cause}")
    return StoreFailed(f"the ledger's database failed: {cause}")
