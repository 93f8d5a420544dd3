"""The shim beneath a process: it sees all, syncs nothing, and ends the process where it was told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.powercut.platter import Platter
from tests.powercut.shim import NEVER, REACHED, Death, Operation, Record, Stage, records

SCRIPT = """
import os, sys
from pathlib import Path
from tests.powercut.shim import Death, Shim, Stage
directory, log, suffix, stage, nth = sys.argv[1:]
shim = Shim()
shim.begin(Path(directory).parent, int(log), Death(int(nth), suffix, Stage(int(stage)) if int(stage) else None))
file = os.open(f"{directory}/a", os.O_RDWR | os.O_CREAT)
os.pwrite(file, b"12345678", 0)
shim.reach(Stage.COMMITTING)
os.write(file, b"abc")
os.ftruncate(file, 6)
os.fsync(file)
os.close(file)
with open(f"{directory}/b", "wb") as other:
    other.write(b"b" * 100_000)
os.mkdir(f"{directory}/in")
os.replace(f"{directory}/b", f"{directory}/in/c")
os.unlink(f"{directory}/in/c")
open(f"{directory}/a", "wb").close()
parent = os.open(directory, os.O_RDONLY)
os.fdatasync(parent)
"""

Done = tuple[int, list[Record]]


def run(environment: dict[str, str], directory: Path, death: Death) -> Done:
    """How it ended, and what it did."""
    order = [death.suffix, str(int(death.stage or 0)), str(death.nth)]
    with (directory.parent / "log").open("w+b") as log:
        command = [sys.executable, "-c", SCRIPT, str(directory), str(log.fileno()), *order]
        done = subprocess.run(command, env=environment, pass_fds=[log.fileno()])
        log.seek(0)
        return done.returncode, list(records(log.read()))


def place(tmp_path: Path, name: str = "disk") -> Path:
    directory = tmp_path / name
    directory.mkdir()
    return directory


def test_what_it_saw_makes_the_files_that_are_there(shimmed: dict[str, str], tmp_path: Path) -> None:
    directory = place(tmp_path)
    ended, log = run(shimmed, directory, NEVER)
    platter = Platter(directory)
    platter.replay(log)
    assert ended == 0
    there = {each.name: each.read_bytes() for each in directory.iterdir() if each.is_file()}
    assert platter.seen == there == {"a": b""}
    kinds = " ".join(each.operation.name for each in log if each.operation is not Operation.CLOSE)
    assert kinds == "OPEN WRITE REACH WRITE RESIZE SYNC OPEN WRITE MKDIR RENAME UNLINK OPEN OPEN SYNC"


def test_each_operation_can_be_the_one_that_never_happens(shimmed: dict[str, str], tmp_path: Path) -> None:
    """Thirteen that change something; opening a directory does not count."""
    seen: list[bytes | None] = []
    for nth in range(1, 14):
        directory = place(tmp_path, str(nth))
        ended, log = run(shimmed, directory, Death(nth))
        assert ended == -signal.SIGKILL
        assert log[-1].operation is Operation.DEATH
        file = directory / "a"
        seen.append(file.read_bytes() if file.exists() else None)
    assert seen[:6] == [None, b"", b"12345678", b"12345678", b"abc45678", b"abc456"]
    assert seen[12] == b""


def test_a_stage_and_a_name_say_which_operations_count(shimmed: dict[str, str], tmp_path: Path) -> None:
    directory = place(tmp_path)
    ended, log = run(shimmed, directory, Death(3, "a", Stage.COMMITTING))
    assert ended == -signal.SIGKILL
    assert [each.operation for each in log[-2:]] == [Operation.RESIZE, Operation.DEATH]


def test_reaching_a_stage_can_be_the_end(shimmed: dict[str, str], tmp_path: Path) -> None:
    directory = place(tmp_path)
    ended, log = run(shimmed, directory, Death(1, REACHED, Stage.COMMITTING))
    assert ended == -signal.SIGKILL
    assert log[-1].data == REACHED.encode()
    assert log[-2].operation is Operation.WRITE
