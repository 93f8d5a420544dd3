"""The shim's other half: it is built, put before this process' system calls, and its log is read.

It needs 64-bit Linux with glibc and a C compiler named `cc`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

SOURCE: Final = Path(__file__).with_name("shim.c")

_RECORD: Final = struct.Struct("=BBHiqI")
_BUILD: Final = ("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared")


class Operation(IntEnum):
    """What a record of the log is about."""

    OPEN = 1
    WRITE = 2
    RESIZE = 3
    SYNC = 4
    UNLINK = 5
    CLOSE = 6
    REACH = 7
    DEATH = 8
    MKDIR = 9
    RENAME = 10


class Stage(IntEnum):
    """How far a party has come: what runs in SQLite, and what it has told since."""

    OPENING = 1
    WORKING = 2
    COMMITTING = 3
    COMMITTED = 4
    TOLD = 5


REACHED: Final = "@"
"""The name under which reaching a stage counts as an operation."""


class Record(NamedTuple):
    """One operation. file: the descriptor; offset: of a write, or the new size; data: what was written, or a path; of a
    rename both, with a zero byte between."""

    operation: Operation
    stage: Stage
    created: bool
    emptied: bool
    file: int
    offset: int
    data: bytes


class Death(NamedTuple):
    """Where a process is to die: at the n-th operation on files whose names end so, in that stage, or in any."""

    nth: int
    suffix: str = ""
    stage: Stage | None = None


NEVER: Final = Death(sys.maxsize)


def missing() -> str:
    """What this machine lacks for it, as a sentence; "" where nothing."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or sys.maxsize < 2**32:
        return "power cuts need 64-bit Linux with glibc"
    return "" if shutil.which("cc") else "power cuts need a C compiler named cc"


def environment(place: Path) -> dict[str, str]:
    """Compile the shim in `place`; the environment of processes that have it. Raises CalledProcessError."""
    shim = place / "shim.so"
    subprocess.run([*_BUILD, "-o", shim, SOURCE], check=True)
    return {**os.environ, "LD_PRELOAD": str(shim)}


class Shim:
    """The shim of this process, which was started with it in LD_PRELOAD."""

    def __init__(self) -> None:
        self._calls = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._calls.powercut_begin.argtypes = (
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_long,
        )

    def begin(self, directory: Path, log: int, death: Death) -> None:
        """From here on what happens below `directory` goes into the open file `log`, until death."""
        self._calls.powercut_begin(f"{directory}/".encode(), log, death.suffix.encode(), death.stage or 0, death.nth)

    def reach(self, stage: Stage) -> None:
        """Say that a stage is reached. It counts as an operation."""
        self._calls.powercut_reach(int(stage))


def records(log: bytes) -> Iterator[Record]:
    """The log of a process, up to its death."""
    at = 0
    while at < len(log):
        operation, stage, flags, file, offset, size = _RECORD.unpack_from(log, at)
        at += _RECORD.size
        data = log[at : at + size]
        at += size
        yield Record(Operation(operation), Stage(stage), bool(flags & 1), bool(flags & 2), file, offset, data)
