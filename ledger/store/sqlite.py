"""A ledger in a SQLite file: what every node has unless it is told otherwise."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from ledger.errors import Corrupt, NotDurable
from ledger.store.copies import keep_copy

BUSY_TIMEOUT_S: Final = 5.0
"""A reader's checkpoint may hold the file for a moment; more than this is a fault."""

_SYNCHRONOUS_FULL: Final = 2
_OWNER_ONLY: Final = 0o600  # bodies say who traded with whom


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """See `database.Database`."""

    path: Path

    def for_writing(self) -> Engine:
        """Transactions are BEGIN IMMEDIATE and durable; only the owner can read the file."""
        return self._opened(assure_durable)

    def for_migration(self) -> Engine:
        """References between tables are not watched: SQLite changes a table by making it anew."""
        return self._opened(_unwatched)

    def for_reading(self) -> Engine:
        """Can't change the file, and works while a node writes to it."""
        address = f"file:{quote(str(self.path.resolve()))}?mode=ro"
        return engine_of(lambda: _connect(address, _distrust), begin="BEGIN")

    def keep_copy(self, connection: Connection, version: int) -> None:
        """In `backups` beside the file."""
        keep_copy(self.path, version)

    def check_migrated(self, connection: Connection) -> None:
        """Every reference, since none was watched. Raises Corrupt."""
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise Corrupt("a row refers to an entry that is not there; nothing was migrated")

    def _opened(self, prepare: Callable[[sqlite3.Connection], None]) -> Engine:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))
        return engine_of(lambda: _connect(str(self.path), prepare))


def assure_durable(driver: sqlite3.Connection) -> None:
    """Set WAL, synchronous=FULL and foreign keys, and read each back. Raises NotDurable.

    With synchronous=NORMAL a power cut can take back what peers already hold, and an honest node would then sign
    its next entry over it: it would fork itself.
    """
    for name, wanted, setting in (
        ("journal_mode", "wal", "WAL"),
        ("synchronous", _SYNCHRONOUS_FULL, "FULL"),
        ("foreign_keys", 1, "ON"),
    ):
        driver.execute(f"PRAGMA {name}={setting}")
        (got,) = driver.execute(f"PRAGMA {name}").fetchone()
        if got != wanted:
            raise NotDurable(f"SQLite keeps {name} at {got!r} where {setting} is needed")


def engine_of(connect: Callable[[], sqlite3.Connection], *, begin: str = "BEGIN IMMEDIATE") -> Engine:
    """An engine whose connections are made by `connect`, and whose transactions begin as said."""
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.connection.cursor().execute(begin)  # at every commit: the driver's own way costs a tenth

    return engine


def _unwatched(driver: sqlite3.Connection) -> None:
    assure_durable(driver)
    driver.execute("PRAGMA foreign_keys=OFF")  # inside of a transaction SQLite would ignore it


def _distrust(driver: sqlite3.Connection) -> None:
    driver.execute("PRAGMA trusted_schema=OFF")  # the file may be a stranger's: its schema runs no functions of ours


def _connect(address: str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    # isolation_level None: transactions begin when we say so, and not deferred by sqlite3's own rules
    driver = sqlite3.connect(address, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=address.startswith("file:"))
    try:
        prepare(driver)
    except BaseException:
        driver.close()
        raise
    return driver
