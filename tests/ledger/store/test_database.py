"""Where a ledger is, and what its database's errors become."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import ArgumentError

from ledger.errors import Damaged, StoreFailed
from ledger.store.database import database_at, translated
from ledger.store.postgres import Postgres
from ledger.store.sqlite import SqliteFile


def test_a_place_is_a_file_or_a_server(path: Path) -> None:
    assert database_at(path) == SqliteFile(path)
    assert database_at("postgresql:///ledger") == Postgres("postgresql:///ledger")


@pytest.mark.parametrize(
    "error",
    [
        OSError("no space left"),
        sqlite3.OperationalError("locked"),
        ArgumentError("x"),
        UnicodeDecodeError("u", b"", 0, 1, ""),
    ],
)
def test_a_drivers_errors_become_ours(error: Exception) -> None:
    with pytest.raises(StoreFailed) as failed, translated():
        raise error
    assert not isinstance(failed.value, Damaged)


def test_damage_is_told_from_other_faults(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(Damaged, match="not a database"), translated():
        SqliteFile(path).for_writing().connect()


def test_ours_pass_as_they_are() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError
