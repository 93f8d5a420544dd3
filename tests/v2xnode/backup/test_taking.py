"""What a backup needs before it is written, and what stays when it can't be."""

from pathlib import Path

import pytest

from ledger.errors import DirectoryHeld
from ledger.store.directory import DirectoryLock
from tests.support.data_directories import AT_MS, CHEAP, PASSPHRASE, make_directory, names, sign
from v2xnode.backup.taking import SCRATCH, take_backup
from v2xnode.config import CONFIG_FILE, DATABASE_FILE
from v2xnode.errors import LocalError, NodeError, UsageError
from v2xnode.identity import KEY_FILE


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_directory(tmp_path / "data")
    return tmp_path / "data"


def take(data: Path, out: Path, passphrase: bytes = PASSPHRASE) -> None:
    take_backup(data, out, passphrase, at_ms=AT_MS, cost=CHEAP)


def refusal(data: Path, out: Path, passphrase: bytes = PASSPHRASE) -> str:
    before = names(data)
    with pytest.raises(NodeError) as refused:
        take(data, out, passphrase)
    assert names(data) == before
    return refused.value.code


def test_nothing_is_written_over(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    assert refusal(data, out) == "file_exists"
    assert out.read_text() == "mine"


def test_a_short_passphrase_leaves_no_file(data: Path, tmp_path: Path) -> None:
    assert refusal(data, tmp_path / "out", b"short") == "weak_passphrase"
    assert not (tmp_path / "out").exists()


def test_a_directory_without_a_ledger_or_key_is_told(data: Path, tmp_path: Path) -> None:
    (data / KEY_FILE).rename(tmp_path / "key")
    assert refusal(data, tmp_path / "out") == "key_missing"
    (data / DATABASE_FILE).unlink()
    assert refusal(data, tmp_path / "out") == "no_ledger"


def test_a_ledger_on_a_server_is_backed_up_there(data: Path, tmp_path: Path) -> None:
    (data / CONFIG_FILE).write_text('[ledger]\nurl = "postgresql://localhost/nobody"\n')
    assert refusal(data, tmp_path / "out") == "no_backup"


def test_where_nothing_can_be_written_that_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalError):
        take(data, tmp_path / "missing" / "out")
    assert SCRATCH not in names(data)


def test_a_key_that_the_ledger_does_not_name_is_no_backup(data: Path, tmp_path: Path) -> None:
    make_directory(tmp_path / "other")
    (data / KEY_FILE).write_bytes((tmp_path / "other" / KEY_FILE).read_bytes())
    assert refusal(data, tmp_path / "out") == "key_missing"


def test_two_at_once_do_not_meet_and_what_a_killed_one_left_goes(data: Path, tmp_path: Path) -> None:
    scratch = data / SCRATCH
    scratch.mkdir()
    (scratch / DATABASE_FILE).write_text("left")
    with DirectoryLock(scratch), pytest.raises(DirectoryHeld):
        take(data, tmp_path / "out")
    take(data, tmp_path / "out")
    assert SCRATCH not in names(data)
    sign(data)


def test_usage_is_exit_2(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        take(data, tmp_path / "out", b"")
    assert refused.value.exit_code == 2
