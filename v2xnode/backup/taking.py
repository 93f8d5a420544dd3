"""Makes a backup, also while the node runs: the database is copied as it is at one moment."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ledger.store.directory import DirectoryLock
from ledger.store.reader import LedgerReader
from v2xnode.backup.contents import FILES, Contents, Listed, pieces_of
from v2xnode.backup.sealed import Cost, seal
from v2xnode.config import DATABASE_FILE, load_config
from v2xnode.entropy import Entropy
from v2xnode.errors import LocalError, UsageError
from v2xnode.identity import load_identity
from v2xnode.secret_file import sync_directory

PARTIAL = ".partial"
SCRATCH = ".backup"
"""In the data directory while a backup is made: no other disk may see the plain copy."""


def take_backup(
    data: Path, out: Path, passphrase: bytes, *, at_ms: int, entropy: Entropy = os.urandom, cost: Cost | None = None
) -> Contents:
    """Write key, meter key, ledger and configuration of a data directory into one sealed file, whole or not at all.

    Raises UsageError (the file exists, the passphrase is too short, the ledger is in PostgreSQL), LocalError for what
    can't be read or written, or LedgerError.
    """
    where = load_config(data).ledger_at(data)
    if not isinstance(where, Path):
        raise UsageError("This ledger is in PostgreSQL: back that up with its own tools (pg_dump).", code="no_backup")
    if out.exists():
        raise UsageError(f"{out} exists already; nothing was changed.", code="file_exists")
    try:
        with _scratch(data) as scratch:
            copy = scratch / DATABASE_FILE
            _copy(where, copy)
            return _write(data, copy, out, passphrase, at_ms=at_ms, entropy=entropy, cost=cost)
    except (OSError, sqlite3.Error) as problem:
        raise LocalError(f"No backup could be made: {problem}.", code="no_backup") from None


@contextmanager
def _scratch(data: Path) -> Iterator[Path]:
    """A place for the copy; what a backup that was cut short left there goes. Raises DirectoryHeld beside another."""
    scratch = data / SCRATCH
    scratch.mkdir(mode=0o700, exist_ok=True)
    with DirectoryLock(scratch):
        (scratch / DATABASE_FILE).unlink(missing_ok=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _copy(database: Path, copy: Path) -> None:
    """As it is at one moment, in one file that is whole by itself."""
    if not database.exists():
        raise UsageError(f"There is no ledger in {database.parent}.", code="no_ledger")
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    address = f"{database.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")


def _write(
    data: Path, copy: Path, out: Path, passphrase: bytes, *, at_ms: int, entropy: Entropy, cost: Cost | None
) -> Contents:
    paths = [path for path in (copy if name == DATABASE_FILE else data / name for name in FILES) if path.exists()]
    _check_key(data, copy)
    node = load_identity(data).public
    contents = Contents(node, at_ms, tuple(Listed(path.name, path.stat().st_size) for path in paths))
    partial = out.with_name(out.name + PARTIAL)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in seal(_stream(contents, paths), passphrase, entropy=entropy, cost=cost):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    os.link(partial, out)  # unlike a rename, never in place of what came there meanwhile
    partial.unlink()
    sync_directory(out.parent)
    return contents


def _check_key(data: Path, copy: Path) -> None:
    """Raises LocalError when the key was changed while the copy was made: the next try has both of one moment."""
    with LedgerReader.open(copy) as reader:
        current = reader.keys_of(reader.node).current
    if current != load_identity(data).signer.public:
        raise LocalError("The ledger names another key than the directory: start the node once.", code="key_missing")


def _stream(contents: Contents, paths: Sequence[Path]) -> Iterator[bytes]:
    yield contents.line()
    for listed, path in zip(contents.files, paths, strict=True):
        with path.open("rb") as file:
            left = listed.size
            for piece in pieces_of(file):
                yield piece[:left]
                left -= min(left, len(piece))
        if left:
            raise LocalError(f"{path.name} became shorter while it was read: try again.", code="no_backup")
