"""Copies before a migration."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import StoreFailed
from ledger.store import copies
from ledger.store.copies import MAX_COPIES, keep_copy
from tests.ledger.world import open_ledger


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as driver:
        return [number for (number,) in driver.execute("SELECT x FROM t ORDER BY x")]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "node.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA journal_mode=WAL")
        driver.execute("CREATE TABLE t (x)")
        driver.execute("INSERT INTO t VALUES (1)")
    return path


def test_a_copy_holds_what_is_still_in_the_log_and_needs_no_other_file(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as driver:
        driver.execute("INSERT INTO t VALUES (2)")
        assert Path(f"{database}-wal").stat().st_size > 0
        kept = keep_copy(database, 1)
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]
    assert numbers(kept) == [1, 2]


def test_it_is_named_by_schema_and_utc_and_for_its_owner_only(database: Path) -> None:
    kept = keep_copy(database, 7)
    name, stamp = kept.stem.rsplit("-", 1)
    assert name == "node-schema-7"
    assert (len(stamp), stamp[8], stamp[-1]) == (16, "T", "Z")
    assert kept.stat().st_mode & 0o077 == kept.parent.stat().st_mode & 0o077 == 0


def test_what_is_being_written_meanwhile_is_not_in_it(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as driver:
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("INSERT INTO t VALUES (3)")
        assert numbers(keep_copy(database, 1)) == [1]
        driver.execute("ROLLBACK")


def test_the_newest_few_stay_and_nothing_else_is_touched(database: Path) -> None:
    directory = database.parent / copies.DIRECTORY
    directory.mkdir()
    (directory / "mine.txt").write_text("kept")
    (directory / "node-schema-1-20250101T000000Z.db.partial").write_bytes(b"half")
    older = [directory / f"node-schema-1-2025010{day}T000000Z.db" for day in range(1, MAX_COPIES + 2)]
    for copy in older:
        copy.write_bytes(b"")
    kept = keep_copy(database, 1)
    assert {each.name for each in directory.iterdir()} == {
        "mine.txt",
        kept.name,
        *(each.name for each in older[-(MAX_COPIES - 1) :]),
    }


def test_where_none_can_be_kept_it_says_so(database: Path) -> None:
    (database.parent / copies.DIRECTORY).write_text("a file in the way")
    with pytest.raises(StoreFailed, match="not migrated"):
        keep_copy(database, 1)


def test_a_ledger_is_copied_only_when_it_is_migrated(path: Path) -> None:
    open_ledger(path).close()
    open_ledger(path).close()
    assert not (path.parent / copies.DIRECTORY).exists()
