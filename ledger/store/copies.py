"""Copies of a database as it was before each migration, in `backups` beside it. The newest few are kept."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from ledger.errors import StoreFailed

DIRECTORY: Final = "backups"

MAX_COPIES: Final = 5
"""Each is as large as the database was. A migration that fails at every start repeats the same copy."""

_PARTIAL: Final = ".partial"
_OWNER_ONLY: Final = 0o600
_OWNER_ONLY_DIRECTORY: Final = 0o700


def keep_copy(path: Path, version: int) -> Path:
    """Copy the database at `path`, of schema `version`, while nobody writes to it; on the disk when this returns.

    Raises StoreFailed; then there is no new copy, and the older ones stay.
    """
    directory = path.parent / DIRECTORY
    kept = directory / f"{name_of_copy(path.stem, version)}{path.suffix}"
    partial = kept.with_name(kept.name + _PARTIAL)
    try:
        directory.mkdir(mode=_OWNER_ONLY_DIRECTORY, exist_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY))
        _copy(path, partial)
        _sync(partial)
        partial.replace(kept)
        _sync(directory)
        _forget_older(directory, path)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            partial.unlink()  # a full disk has no use for half a copy
        raise StoreFailed(f"no copy of the database could be made, so that it was not migrated: {error}") from error
    return kept


def name_of_copy(name: str, version: int) -> str:
    """With schema and UTC, to the second."""
    return f"{name}-schema-{version}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"


def _copy(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _forget_older(directory: Path, path: Path) -> None:
    """Only the newest stay; what a killed process left half made goes too."""
    for left in directory.glob(f"{path.stem}-schema-*{_PARTIAL}*"):
        left.unlink()
    kept = sorted(directory.glob(f"{path.stem}-schema-*{path.suffix}"), key=_time_of)
    for older in kept[:-MAX_COPIES]:
        older.unlink()


def _time_of(copy: Path) -> str:
    return copy.name.rpartition("-")[2]
