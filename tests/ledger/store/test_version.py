"""What a database says of its own schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from ledger import cbor
from ledger.errors import Corrupt, UnknownSchema
from ledger.store import schema
from ledger.store.sqlite import SqliteFile
from ledger.store.version import EMPTY, record_version, version_of
from tests.ledger.world import open_ledger


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    with SqliteFile(path).for_writing().connect() as connection, connection.begin():
        yield connection


def say(path: Path, value: bytes) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (value,))


def test_a_database_without_tables_is_empty_and_a_new_ledger_is_of_the_newest(path: Path) -> None:
    with connected(path) as connection:
        assert version_of(connection) == EMPTY
    open_ledger(path).close()
    with connected(path) as connection:
        assert version_of(connection) == schema.SCHEMA_VERSION


def test_a_version_once_recorded_is_said(path: Path) -> None:
    open_ledger(path).close()
    with connected(path) as connection:
        record_version(connection, 1)
        assert version_of(connection) == 1
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 1


def test_a_newer_one_is_not_understood(path: Path) -> None:
    open_ledger(path).close()
    say(path, cbor.encode(schema.SCHEMA_VERSION + 1))
    with connected(path) as connection, pytest.raises(UnknownSchema, match="install a newer"):
        version_of(connection)


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as driver:
        driver.execute("CREATE TABLE photographs (id)")
    before = path.read_bytes()
    with pytest.raises(UnknownSchema, match="other tables"):
        open_ledger(path)
    with closing(sqlite3.connect(path)) as driver:
        assert driver.execute("SELECT name FROM sqlite_schema").fetchall() == [("photographs",)]
    assert len(path.read_bytes()) == len(before)


@pytest.mark.parametrize("value", [b"", b"\xff", cbor.encode("2"), cbor.encode(0), cbor.encode(-1), cbor.encode(True)])
def test_one_that_does_not_say_is_corrupt(path: Path, value: bytes) -> None:
    open_ledger(path).close()
    say(path, value)
    with connected(path) as connection, pytest.raises(Corrupt):
        version_of(connection)
