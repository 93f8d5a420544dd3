"""Files and disks that a ledger can't live on: a clear error, and what was there stays as it was."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.audit.rows import Fault
from ledger.audit.verify import verify
from ledger.entry import EntryType
from ledger.errors import Corrupt, Damaged, StoreFailed
from ledger.store import copies
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from tests.ledger import old
from tests.ledger.world import open_ledger, rule, trade

PAGE = 4_096
NOBODY = 65_534


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a ledger with a trade in it."""
    path = tmp_path_factory.mktemp("sound") / "ledger.store.sqlite"
    with open_ledger(path) as ledger:
        trade(ledger)
    return path.read_bytes()


def appended(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.transact(lambda tx: tx.append(EntryType.NET, b""))


def fault(path: Path) -> Fault | None:
    with LedgerReader.open(path) as reader:
        return verify(reader, rule).fault


def test_a_damaged_page_stops_the_ledger_or_is_found_by_verify(path: Path, sound: bytes) -> None:
    stopped = 0
    for page in range(0, len(sound), PAGE):
        data = bytearray(sound)
        data[page : page + 64] = bytes(byte ^ 0x5A for byte in data[page : page + 64])
        path.write_bytes(data)
        try:
            open_ledger(path).close()
        except (Damaged, Corrupt, StoreFailed):
            stopped += 1
            assert path.read_bytes() == data
        assert fault(path) is not None
    assert stopped > 2


@pytest.mark.parametrize("share", [0, 1, 2, 50])
def test_a_half_written_file_is_damaged_and_stays_as_it_is(path: Path, sound: bytes, share: int) -> None:
    """Hundredths of it, and a few bytes."""
    half = sound[: len(sound) * share // 100 + 99]
    path.write_bytes(half)
    with pytest.raises((Damaged, Corrupt)):
        open_ledger(path)
    assert path.read_bytes() == half
    assert fault(path) is not None


def test_a_last_page_that_is_missing_is_found_by_verify(path: Path, sound: bytes) -> None:
    path.write_bytes(sound[:-PAGE])
    assert fault(path) is not None


def test_a_directory_is_no_ledger(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreFailed, match="directory"):
        open_ledger(path)
    with pytest.raises(StoreFailed):
        LedgerReader.open(path)
    assert list(path.iterdir()) == []


@pytest.mark.parametrize(("file_mode", "directory_mode"), [(0o000, 0o700), (0o400, 0o700), (0o600, 0o500)])
def test_without_permission_nothing_is_changed(sound: bytes, file_mode: int, directory_mode: int) -> None:
    with without_privileges() as directory:
        path = directory / "ledger.store.sqlite"
        path.write_bytes(sound)
        path.chmod(file_mode)
        directory.chmod(directory_mode)
        with pytest.raises(StoreFailed):
            appended(path)
        path.chmod(0o600)
        assert path.read_bytes() == sound


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A directory of an ordinary user, who we are meanwhile: to root nothing is forbidden."""
    directory = Path(tempfile.mkdtemp(prefix="ordinary-"))
    root = os.geteuid() == 0
    try:
        if root:
            os.chown(directory, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield directory
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(0o700)
        shutil.rmtree(directory)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file grows beyond `size`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_a_transaction_fails_as_a_whole_and_the_next_goes_on(path: Path) -> None:
    with open_ledger(path) as ledger:
        trade(ledger)
        before = ledger.transact(lambda tx: tx.head())
        assert before is not None
        with disk_of(Path(f"{path}-wal").stat().st_size + PAGE), pytest.raises(StoreFailed):
            ledger.transact(much)
        after = ledger.transact(lambda tx: tx.append(EntryType.NET, b""))
        assert (after.entry.seq, after.entry.prev) == (before.entry.seq + 1, before.hash)
    assert fault(path) is None


def much(tx: Transaction) -> None:
    for number in range(100):
        tx.append(EntryType.NET, bytes(900))
        tx.put(f"document {number}", bytes(9_000))


@pytest.mark.parametrize("size", [0, PAGE, 4 * PAGE])
def test_a_ledger_that_could_not_be_made_can_be_made_later(path: Path, size: int) -> None:
    with disk_of(size), pytest.raises(StoreFailed):
        open_ledger(path)
    appended(path)
    assert fault(path) is None


@pytest.mark.parametrize("pages", [0, 6, 15])
def test_where_there_is_no_room_to_migrate_the_old_one_stays(tmp_path: Path, pages: int) -> None:
    """Not for SQLite's own files, or not for the copy."""
    path = Path(shutil.copy(old.FILE, tmp_path / "node.db"))
    before = path.read_bytes()
    with disk_of(pages * PAGE), pytest.raises(StoreFailed):
        old.open_old(path)
    assert path.read_bytes() == before
    assert list((path.parent / copies.DIRECTORY).glob("*")) == []
    old.open_old(path).close()
    assert old.verified(path).ok


def test_where_there_is_room_for_the_log_alone_it_is_migrated_all_the_same(tmp_path: Path) -> None:
    path = Path(shutil.copy(old.FILE, tmp_path / "node.db"))
    with disk_of(path.stat().st_size + 2 * PAGE):
        old.open_old(path).close()
    assert Path(f"{path}-wal").stat().st_size > 0
    assert old.verified(path).ok
