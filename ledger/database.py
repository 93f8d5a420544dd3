"""SQLite behind SQLAlchemy: how a connection is opened, and the one border where its exceptions are translated."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ledger.errors import NotDurable, StoreFailed

BUSY_TIMEOUT_S: Final = 5.0
"""A reader's checkpoint may hold the file for a moment; more than this is a fault."""

DATABASE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error, OSError, UnicodeDecodeError)
"""All that a damaged file makes the driver raise; the last when SQLite quotes damaged text in its own message."""

_SYNCHRONOUS_FULL: Final = 2
_OWNER_ONLY: Final = 0o600  # bodies say who traded with whom


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
    return StoreFailed(f"the ledger's database failed: {cause}")


def open_for_writing(path: Path) -> Engine:
    """An engine whose transactions are BEGIN IMMEDIATE, durable, on a file that only its owner can read.

    Its first connection raises NotDurable when SQLite does not accept the settings.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))
    return engine_of(lambda: _connect(str(path), assure_durable))


def open_for_migration(path: Path) -> Engine:
    """As `open_for_writing`, but references between tables are not watched: see `migrations.upgrade`."""
    return engine_of(lambda: _connect(str(path), _unwatched))


def open_for_reading(path: Path) -> Engine:
    """An engine that can't change the file, and that works while a node writes to it."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    return engine_of(lambda: _connect(address, _distrust), begin="BEGIN")


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


def engine_of(connect: Callable[[], sqlite3.Connection], *, begin: str = "BEGIN IMMEDIATE") -> Engine:
    """An engine whose connections are made by `connect`, and whose transactions begin as said."""
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
