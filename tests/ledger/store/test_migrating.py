"""An old ledger opened by new software: migrated whole after a copy, or as it was."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ledger import cbor
from ledger.errors import Corrupt, StoreFailed, UnknownSchema
from ledger.proofs.proving import append_checkpoint
from ledger.store import copies, migrations, schema
from ledger.store.postgres import Postgres
from ledger.store.version import EMPTY
from tests.ledger import old
from tests.ledger.hands import asked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(old.FILE, tmp_path / "node.db"))


def kept(path: Path) -> list[Path]:
    return sorted((path.parent / copies.DIRECTORY).glob("*"))


def test_an_old_ledger_goes_on_where_it_was(path: Path) -> None:
    peer = "payable:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
    with old.open_old(path) as ledger:
        head = ledger.transact(lambda tx: tx.head())
        balance = ledger.transact(lambda tx: tx.balance(peer, "EUR"))
        appended = ledger.transact(append_checkpoint).stored
    assert head is not None
    assert appended.entry.prev == head.hash
    assert balance.posted_micro == -old.OWED_MICRO
    report = old.verified(path)
    assert report.ok, report.sentence
    assert report.entries == len(old.dump(old.FILE)["entry"]) + 1


def test_what_it_was_is_kept_beside_it_and_is_a_ledger_too(path: Path, tmp_path: Path) -> None:
    old.open_old(path).close()
    (copy,) = kept(path)
    assert old.version(copy) == (1, 1)
    assert old.dump(copy) == old.dump(old.FILE)
    restored = tmp_path / "restored" / "node.db"
    restored.parent.mkdir()
    shutil.copy(copy, restored)
    old.open_old(restored).close()
    assert old.verified(restored).ok


def test_migrated_once_it_is_only_opened(path: Path) -> None:
    for _ in range(2):
        old.open_old(path).close()
    assert len(kept(path)) == 1


def test_a_newer_database_is_refused_and_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (cbor.encode(schema.SCHEMA_VERSION + 1),))
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with pytest.raises(UnknownSchema, match="newer"):
        old.open_old(path)
    assert path.read_bytes() == before
    assert not (path.parent / copies.DIRECTORY).exists()


def test_without_a_copy_there_is_no_migration(path: Path) -> None:
    (path.parent / copies.DIRECTORY).write_text("in the way")
    with pytest.raises(StoreFailed, match="not migrated"):
        old.open_old(path)
    assert_as_it_was(path)


def test_an_old_database_with_a_reference_to_nothing_is_not_migrated(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE posting SET entry_hash = zeroblob(32) WHERE position = 1")
    with pytest.raises(Corrupt, match="not there"):
        old.open_old(path)
    assert old.version(path) == (1, 1)


def test_an_error_at_any_statement_leaves_the_old_one(tmp_path: Path) -> None:
    seen = set()
    for failing in count(1):
        path = Path(shutil.copy(old.FILE, tmp_path / f"{failing}.db"))
        with failing_at(failing) as left, suppress(StoreFailed):
            old.open_old(path).close()
        if left():
            break
        seen.add(version := old.version(path)[0])
        if version == 1:
            assert_as_it_was(path)
    assert seen == {1, schema.SCHEMA_VERSION}
    assert old.verified(path).ok


@contextmanager
def failing_at(number: int) -> Iterator[Any]:
    """The `number`th statement fails, as a disk may let it. Gives: were there fewer?"""
    left = number

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise sqlite3.OperationalError("a disk error")

    event.listen(Engine, "before_cursor_execute", step)
    try:
        yield lambda: left > 0
    finally:
        event.remove(Engine, "before_cursor_execute", step)


def test_on_a_server_the_copy_is_a_schema_beside_it(url: str) -> None:
    first_schema(url)
    before = old.dump(url)
    assert before == old.dump(old.FILE)
    for _ in range(2):
        old.open_old(url).close()
    assert old.dump(url) == before
    assert old.verified(url).ok
    ((copy,),) = asked(url, "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, current_schema() || '-')")
    assert old.dump(url, prefix=f'"{copy}".') == before
    asked(url, f'DROP SCHEMA "{copy}" CASCADE')


def test_a_migration_that_fails_on_a_server_leaves_the_old_one(url: str) -> None:
    first_schema(url)
    asked(url, "UPDATE entry SET body = ? WHERE position = 3", b"another")
    before = old.dump(url)
    with pytest.raises(Corrupt, match="row 3"):
        old.open_old(url)
    assert old.version(url)[0] == 1
    assert old.dump(url) == before
    assert asked(url, "SELECT 1 FROM pg_namespace WHERE starts_with(nspname, current_schema() || '-')") == []


def first_schema(url: str) -> None:
    """The old ledger as it would have been on a server."""
    with Postgres(url).for_migration().connect() as connection, connection.begin():
        migrations.upgrade(connection, EMPTY, to=1)
    for table in old.TABLES:
        for row in old.rows(old.FILE, table):
            asked(url, f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)  # noqa: S608


def test_killed_at_any_step_it_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ledger.killed", str(tmp_path)]
    done = subprocess.run(command, check=True, timeout=110, capture_output=True, text=True)
    steps = int(done.stdout)
    seen = set()
    for number in range(1, steps):
        path = tmp_path / str(number) / "node.db"
        version, _ = old.version(path)
        seen.add(version)
        if version == 1:
            assert_as_it_was(path)
        old.open_old(path).close()
        assert old.verified(path).ok
        assert not list((path.parent / copies.DIRECTORY).glob("*.partial"))
    assert seen == {1, schema.SCHEMA_VERSION}


def assert_as_it_was(path: Path) -> None:
    assert old.version(path) == (1, 1)
    assert old.dump(path) == old.dump(old.FILE)
