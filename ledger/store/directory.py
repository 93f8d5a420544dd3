"""One process owns a data directory: two that sign with one key would fork its chain."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ledger.errors import Closed, DirectoryHeld, StoreFailed

LOCK_NAME: Final = "node.lock"
_MAX_PID_BYTES: Final = 20


class DirectoryLock:
    """Holds `directory` while open (flock: the kernel lets go when the process ends, however it ends).

    Taking it raises DirectoryHeld with the owner's process id, or StoreFailed when the directory can't be used.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._file: int | None = None

    def take(self) -> None:
        """Own the directory, or raise. Never waits."""
        if self._file is not None:
            raise Closed(f"{self._path} is taken by this lock already")
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(f"the data directory can't be used: {error}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _pid_in(file)
            os.close(file)
            raise DirectoryHeld(_held_sentence(self._path.parent, pid), pid) from error
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Let others have it. Twice is once. The file stays: removing it would let two processes lock two files."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _held_sentence(directory: Path, pid: int | None) -> str:
    who = "another process" if pid is None else f"process {pid}"
    return f"{directory} is in use by {who}; stop it first, or name another data directory"


def _pid_in(file: int) -> int | None:
    text = os.pread(file, _MAX_PID_BYTES, 0)
    return int(text) if text.isdigit() else None
