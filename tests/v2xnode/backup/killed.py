"""Backups and restores, each in a process of its own that is killed (kill -9) one step later than the one before.

`python -m tests.v2xnode.backup.killed DIRECTORY`. A step is what Python does with a file, or a commit. After each kill
the file, or the directory, is whole or not there, and the next try succeeds. Prints how many kills there were of both.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tests.support.data_directories import AT_MS, CHEAP, PASSPHRASE, head, make_directory, names, report, sign
from v2xnode.backup.restoring import restore_backup
from v2xnode.backup.taking import take_backup
from v2xnode.identity import KEY_FILE

FILE_STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.link", "sqlite3.connect")


def main(directory: Path) -> None:
    data, good = directory / "data", directory / "good"
    make_directory(data)
    _take(data, good)
    _restore(good, directory / "first")  # everything is imported before the first child
    print(_killed(lambda step: _take(data, directory / f"out{step}"), lambda step: _check_backup(directory, step)))
    print(_killed(lambda step: _restore(good, directory / f"in{step}"), lambda step: _check_restore(directory, step)))


def _killed(work: Callable[[int], None], check: Callable[[int], None]) -> int:
    for step in count(1):
        child = os.fork()
        if child == 0:
            _die_at(step)
            work(step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
            sys.exit(f"step {step} ended with {status}")
        check(step)
        if os.waitstatus_to_exitcode(status) == 0:
            return step
    raise AssertionError


def _die_at(step: int) -> None:
    left = step

    def count_down(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    gc.disable()
    event.listen(Engine, "commit", count_down)
    sys.addaudithook(lambda name, _: count_down() if name in FILE_STEPS else None)


def _take(data: Path, out: Path) -> None:
    take_backup(data, out, PASSPHRASE, at_ms=AT_MS, cost=CHEAP)


def _restore(file: Path, data: Path) -> None:
    with file.open("rb") as opened:
        restore_backup(opened, data, PASSPHRASE)


def _check_backup(directory: Path, step: int) -> None:
    """Whole, or not there and made by the next try; the node signs on."""
    data, out = directory / "data", directory / f"out{step}"
    if not out.exists():
        _take(data, out)
    _restore(out, directory / f"from{step}")
    sign(data)


def _check_restore(directory: Path, step: int) -> None:
    """A whole node in an epoch of its own, or none, and the next try makes it."""
    data = directory / f"in{step}"
    if KEY_FILE not in names(data):
        _restore(directory / "good", data)
    assert head(data).entry.seq == 0
    assert report(data).ok
    sign(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
