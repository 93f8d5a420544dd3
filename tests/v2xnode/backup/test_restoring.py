"""A backup brings a node back whole, in a new epoch, or leaves nothing."""

import io
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import DirectoryHeld
from ledger.store.directory import DirectoryLock
from ledger.store.transaction import Transaction
from tests.support.commands import environment
from tests.support.data_directories import AT_MS, CHEAP, PASSPHRASE, head, make_directory, names, report, sign
from v2xnode.backup.contents import FILES, Contents, Listed
from v2xnode.backup.restoring import STAGE, Restored, restore_backup
from v2xnode.backup.sealed import Unopened, seal
from v2xnode.backup.taking import take_backup
from v2xnode.config import CONFIG_FILE, DATABASE_FILE
from v2xnode.errors import LedgerInvalid, NodeError, UsageError
from v2xnode.identity import KEY_FILE, load_identity
from v2xnode.rotation import open_ledger


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_directory(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def backup(data: Path, name: str = "backup") -> Path:
    out = data.parent / name
    take_backup(data, out, PASSPHRASE, at_ms=AT_MS, cost=CHEAP)
    return out


def restored(file: Path, target: Path, passphrase: bytes = PASSPHRASE) -> Restored:
    with file.open("rb") as opened:
        return restore_backup(opened, target, passphrase)


def refusal(data: bytes, target: Path, passphrase: bytes = PASSPHRASE) -> str:
    with pytest.raises(NodeError) as refused:
        restore_backup(io.BytesIO(data), target, passphrase)
    assert names(target) == set()
    return refused.value.code


def test_everything_comes_back_and_a_new_epoch_is_open(data: Path, target: Path) -> None:
    before = head(data)
    told = restored(backup(data), target)
    assert names(target) == set(FILES)
    assert (told.node, told.at_ms) == (load_identity(data).public, AT_MS)
    start = head(target)
    assert (start.entry.seq, start.entry.prev) == (0, before.hash)
    assert start.entry.epoch == told.epoch != before.entry.epoch
    for name in (KEY_FILE, CONFIG_FILE, "meter.key", "node.public"):
        assert (target / name).read_bytes() == (data / name).read_bytes()
    sign(target)
    assert report(target).ok


def test_only_the_owner_can_read_what_was_made(data: Path, target: Path) -> None:
    file = backup(data)
    restored(file, target)
    for path in (file, *(target / name for name in FILES)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_identity(data).seed.hex().encode() not in file.read_bytes()


def test_it_is_taken_while_the_node_writes(data: Path, target: Path) -> None:
    def in_the_middle(transaction: Transaction) -> Path:
        transaction.put("busy", b"1")
        return backup(data)

    with DirectoryLock(data), open_ledger(data, data / DATABASE_FILE) as ledger:
        taken = ledger.transact(in_the_middle)
    restored(taken, target)
    assert report(target).ok


def test_the_same_backup_twice_has_no_place_in_common(data: Path, tmp_path: Path) -> None:
    file = backup(data)
    epochs = {restored(file, tmp_path / name).epoch for name in ("one", "two")}
    assert len(epochs) == 2
    assert {sign(tmp_path / name).entry.epoch for name in ("one", "two")} == epochs


@pytest.mark.parametrize("name", ["note.txt", KEY_FILE, DATABASE_FILE])
def test_a_directory_with_anything_in_it_is_left_alone(data: Path, target: Path, name: str) -> None:
    target.mkdir()
    (target / name).write_text("mine")
    with pytest.raises(UsageError) as refused:
        restored(backup(data), target)
    assert refused.value.code == "not_empty"
    assert {path.name: path.read_text() for path in target.iterdir() if path.name != "node.lock"} == {name: "mine"}


def test_a_finished_directory_is_never_taken_for_an_unfinished_one(data: Path, target: Path) -> None:
    """Killed after the key was moved: all is there, and only the empty stage is left."""
    file = backup(data)
    restored(file, target)
    (target / STAGE).mkdir()
    with pytest.raises(UsageError):
        restored(file, target)
    assert report(target).ok


def test_two_at_once_do_not_meet(data: Path, target: Path) -> None:
    target.mkdir()
    with DirectoryLock(target), pytest.raises(DirectoryHeld):
        restored(backup(data), target)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda whole: whole[:-1], "damaged"),
        (lambda whole: whole[: len(whole) // 2], "damaged"),
        (lambda whole: whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], "damaged"),
        (lambda whole: b"", "not_sealed"),
        (lambda whole: whole[:14] + b"\x09" + whole[15:], "unknown_version"),
    ],
)
def test_a_bad_file_leaves_nothing(data: Path, target: Path, change: Callable[[bytes], bytes], code: str) -> None:
    assert refusal(change(backup(data).read_bytes()), target) == code


def test_the_wrong_passphrase_leaves_nothing(data: Path, target: Path) -> None:
    assert refusal(backup(data).read_bytes(), target, b"another passphrase") == "wrong_passphrase"


def sealed_as(files: dict[str, bytes], node: bytes) -> bytes:
    """What somebody who knows the passphrase can make."""
    contents = Contents(node, AT_MS, tuple(Listed(name, len(value)) for name, value in files.items()))
    return b"".join(seal([contents.line(), *files.values()], PASSPHRASE, entropy=os.urandom, cost=CHEAP))


def parts(data: Path) -> dict[str, bytes]:
    return {name: (data / name).read_bytes() for name in FILES}


@pytest.mark.parametrize(
    "named", [{"../evil": b""}, {"/etc/evil": b""}, {"node.lock": b""}, {"config.toml": b"", "node.key": b""}]
)
def test_a_backup_names_a_nodes_files_and_no_others(target: Path, named: dict[str, bytes]) -> None:
    assert refusal(sealed_as(named, bytes(32)), target) == "unknown_version"


def test_parts_of_two_nodes_are_no_backup(data: Path, tmp_path: Path, target: Path) -> None:
    other = make_directory(tmp_path / "other")
    mixed = {**parts(data), KEY_FILE: (tmp_path / "other" / KEY_FILE).read_bytes()}
    file = sealed_as(mixed, other.public)
    with pytest.raises(Exception, match="belongs to another key"):
        restore_backup(io.BytesIO(file), target, PASSPHRASE)
    assert names(target) == set()


def test_a_ledger_that_does_not_hold_is_not_restored(data: Path, target: Path) -> None:
    with sqlite3.connect(data / DATABASE_FILE) as connection:
        connection.execute("UPDATE entry SET arrival = zeroblob(32) WHERE position = 1")
    connection.close()
    with pytest.raises(LedgerInvalid) as refused:
        restored(backup(data), target)
    assert refused.value.exit_code == 5
    assert names(target) == set()


def test_a_list_that_never_ends_is_refused(target: Path) -> None:
    endless = b"".join(seal([b"[" * 100_000], PASSPHRASE, entropy=os.urandom, cost=CHEAP))
    assert refusal(endless, target) == "damaged"


def test_more_than_the_list_says_is_refused(data: Path, target: Path) -> None:
    contents = Contents(bytes(32), AT_MS, tuple(Listed(name, len(value)) for name, value in parts(data).items()))
    pieces = [contents.line(), *parts(data).values(), b"more"]
    assert refusal(b"".join(seal(pieces, PASSPHRASE, entropy=os.urandom, cost=CHEAP)), target) == "damaged"
    short = b"".join(seal(pieces[:-2], PASSPHRASE, entropy=os.urandom, cost=CHEAP))
    assert refusal(short, target) == "damaged"


def test_killed_at_every_step_it_is_there_or_it_is_not(tmp_path: Path) -> None:
    """kill -9 before each thing that a backup, then a restore, does with a file or a database."""
    command = [sys.executable, "-m", "tests.v2xnode.backup.killed", str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    backups, restores = (int(number) for number in done.stdout.split())
    assert backups > 10
    assert restores > 20


def test_unopened_is_the_callers_fault() -> None:
    assert Unopened("no").exit_code == 2
