"""A statement says the same whenever it is run, whoever ran it before, in each dialect."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, delete, select

from ledger.errors import StoreFailed
from ledger.store import schema
from ledger.store.sqlite import SqliteFile
from ledger.store.statements import Prepared, insert_into

LOCK = schema.lock.c
KEEP = insert_into(schema.lock)
LONGEST = Prepared(
    select(LOCK.resource).where(LOCK.quantity > bindparam("least")).order_by(LOCK.until_ms.desc()).limit(1)
)
ROW = {"request_id": b"r", "quantity": 5, "resource": "plug", "until_ms": 2, "from_ms": 1}


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    engine = SqliteFile(path).for_writing()
    with engine.connect() as opened:
        schema.metadata.create_all(opened)
        yield opened
    engine.dispose()


def test_values_go_by_their_names_and_constants_stay(connection: Connection) -> None:
    KEEP.run(connection, ROW)
    KEEP.run(connection, {**ROW, "resource": "energy", "until_ms": 9})
    assert LONGEST.run(connection, {"least": 4}) == [("energy",)]
    assert LONGEST.run(connection, {"least": 5}) == []
    assert connection.exec_driver_sql("SELECT quantity, from_ms, until_ms FROM lock").all()[0] == (5, 1, 2)


def test_what_the_driver_raises_is_told_as_ours(connection: Connection) -> None:
    KEEP.run(connection, ROW)
    with pytest.raises(StoreFailed) as failed:
        KEEP.run(connection, ROW)
    assert isinstance(failed.value.__cause__, sqlite3.IntegrityError)
    with pytest.raises(StoreFailed):
        KEEP.run(connection, {**ROW, "request_id": "text where bytes belong"})


def test_a_closed_connection_is_told_as_ours(path: Path) -> None:
    engine = SqliteFile(path).for_writing()
    connection = engine.connect()
    connection.close()
    with pytest.raises(StoreFailed):
        Prepared(delete(schema.lock)).run(connection, {})
    engine.dispose()
