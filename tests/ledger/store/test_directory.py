"""Who owns a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import Closed, DirectoryHeld, StoreFailed
from ledger.store.directory import LOCK_NAME, DirectoryLock

TAKE = "import sys, pathlib, ledger.store.directory as d; d.DirectoryLock(pathlib.Path(sys.argv[1])).take()"


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        other = subprocess.run([sys.executable, "-c", TAKE, tmp_path], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert f"process {os.getpid()}" in other.stderr
    assert "DirectoryHeld" in other.stderr


def test_a_process_that_ended_holds_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", TAKE, tmp_path], check=True)
    assert (tmp_path / LOCK_NAME).read_text().isdigit()
    with DirectoryLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == str(os.getpid())


def test_a_second_lock_in_this_process_is_refused_until_release(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path)
    with first, pytest.raises(DirectoryHeld) as caught:
        DirectoryLock(tmp_path).take()
    assert caught.value.pid == os.getpid()
    first.release()
    with DirectoryLock(tmp_path) as second, pytest.raises(Closed):
        second.take()


def test_an_owner_that_left_no_number_is_still_an_owner(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        (tmp_path / LOCK_NAME).write_text("who?")
        with pytest.raises(DirectoryHeld, match="another process"):
            DirectoryLock(tmp_path).take()


def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        DirectoryLock(tmp_path / "absent").take()
