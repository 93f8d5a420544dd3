"""Settings that a power cut would test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from ledger.errors import NotDurable, StoreFailed
from ledger.store.database import translated
from ledger.store.sqlite import SqliteFile, assure_durable


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    with SqliteFile(path).for_writing().connect() as opened:
        yield opened


@pytest.mark.parametrize(("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
def test_a_writer_runs_with_the_durable_settings(connection: Connection, name: str, value: object) -> None:
    assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value


def test_a_database_that_refuses_them_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as driver, pytest.raises(NotDurable, match="journal_mode"):
        assure_durable(driver)


def test_synchronous_is_read_back_and_not_assumed(path: Path) -> None:
    class Deaf(sqlite3.Connection):
        """Ignores the setting, as a build or a proxy may."""

        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            return super().execute("SELECT 1" if sql == "PRAGMA synchronous=FULL" else sql)

    with closing(sqlite3.connect(path, factory=Deaf)) as driver:
        sqlite3.Connection.execute(driver, "PRAGMA synchronous=NORMAL")
        with pytest.raises(NotDurable, match="synchronous"):
            assure_durable(driver)


def test_a_transaction_owns_the_right_to_write_from_its_begin(connection: Connection, path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=0)) as other, connection.begin():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        connection.rollback()


def test_only_the_owner_can_read_the_file(connection: Connection, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_a_reader_cannot_write(connection: Connection, path: Path) -> None:
    with SqliteFile(path).for_reading().connect() as reader, pytest.raises(StoreFailed, match="readonly"), translated():
        reader.exec_driver_sql("CREATE TABLE t (x)")
