"""Looking at a ledger while its node runs, and when it doesn't."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.errors import Corrupt, StoreFailed, UnknownSchema
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from tests.ledger import old
from tests.ledger.hands import Where
from tests.ledger.world import CLIENT, open_ledger


def test_it_reads_beside_a_running_writer_and_sees_one_moment(ledger: Ledger, where: Where) -> None:
    with LedgerReader.open(where) as reader:
        assert reader.node == CLIENT.public
        ledger.transact(lambda tx: tx.append(EntryType.NET, b""))
        assert len(reader.page()) == 1
    with LedgerReader.open(where) as later:
        assert len(later.page()) == 2


def test_it_reads_what_a_closed_ledger_left(where: Where) -> None:
    open_ledger(where).close()
    with LedgerReader.open(where) as reader:
        head = reader.head()
    assert head is not None
    assert head.own


def test_a_file_that_is_not_there_is_a_clear_error(path: Path) -> None:
    with pytest.raises(StoreFailed, match="unable to open"):
        LedgerReader.open(path)
    assert not path.exists()


def test_a_database_without_an_owner_is_corrupt(path: Path) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("DELETE FROM meta")
    with LedgerReader.open(path) as reader, pytest.raises(Corrupt):
        reader.head()


@pytest.mark.parametrize("value", ["x'00'", "NULL", "'text'"])
def test_a_row_that_holds_no_entry_is_corrupt(path: Path, value: str) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("CREATE TABLE copy AS SELECT * FROM entry")
        driver.execute("DROP TABLE entry")
        driver.execute("ALTER TABLE copy RENAME TO entry")
        driver.execute(f"UPDATE entry SET payload = {value}")  # noqa: S608
    with LedgerReader.open(path) as reader, pytest.raises(Corrupt):
        reader.page()


def test_paths_with_special_characters_are_paths(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=rwc#%41 b.sqlite"
    open_ledger(path).close()
    with LedgerReader.open(path) as reader:
        assert len(reader.page()) == 1


def test_it_says_when_only_the_node_can_bring_the_database_up_to_date(path: Path) -> None:
    shutil.copy(old.FILE, path)
    before = path.read_bytes()
    with LedgerReader.open(path) as reader, pytest.raises(UnknownSchema, match="start its node"):
        reader.check_schema()
    assert path.read_bytes() == before
    old.open_old(path).close()
    with LedgerReader.open(path) as reader:
        reader.check_schema()
