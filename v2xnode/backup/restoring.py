"""Makes a data directory of a backup: all of it checked before any of it counts, and a new epoch before anything else.

The files are unpacked into `.restoring` in the directory. There the ledger is verified and its new epoch opened; then
each is moved into place, the key last. A restore that was cut short leaves `.restoring`, and the next one begins anew.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ledger.audit.verify import verify
from ledger.own.key_changes import open_epoch
from ledger.store.directory import LOCK_NAME, DirectoryLock
from ledger.store.reader import LedgerReader
from v2xnode.backup.contents import FILES, MAX_LIST_BYTES, Contents
from v2xnode.backup.sealed import Unopened, unseal
from v2xnode.config import CONFIG_FILE, DATABASE_FILE, parse_config
from v2xnode.errors import LedgerInvalid, LocalError, UsageError
from v2xnode.identity import KEY_FILE, load_identity
from v2xnode.rotation import open_ledger
from v2xnode.secret_file import sync_directory
from v2xnode.settling.money import posting_rule

STAGE = ".restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """node: whose backup it was. at_ms: when that was made. epoch: in which the node signs from now on."""

    node: bytes
    at_ms: int
    epoch: bytes


def restore_backup(file: BinaryIO, data: Path, passphrase: bytes) -> Restored:
    """Unpack, check and put in place. `data` is an empty directory, or none yet.

    Raises Unopened for the file or passphrase, UsageError for a directory that is in use, LedgerInvalid for a ledger
    that does not verify, LocalError or LedgerError for what can't be written. Nothing is in place then.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with DirectoryLock(data):
            stage = _fresh_stage(data)
            try:
                contents = _unpack(unseal(file, passphrase), stage)
                epoch = _check(contents, stage)
                _put_in_place(contents, stage, data)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
    except OSError as problem:
        raise LocalError(f"{data} can't be written: {problem}.", code="no_directory") from None
    return Restored(contents.node, contents.at_ms, epoch)


def _fresh_stage(data: Path) -> Path:
    """Raises UsageError unless there is nothing in the directory but what a restore that was cut short left."""
    stage = data / STAGE
    left = {path.name for path in data.iterdir()} - {LOCK_NAME}
    unfinished = left - set(FILES) == {STAGE} and KEY_FILE not in left  # the key comes last: with it, all is there
    if left and not unfinished:
        raise UsageError(f"{data} is not empty; nothing was changed.", code="not_empty")
    for name in left - {STAGE}:
        (data / name).unlink()
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(mode=0o700)
    sync_directory(data)
    return stage


def _unpack(pieces: Iterator[bytes], stage: Path) -> Contents:
    """Every file of the backup, each on the disk; all of the stream was seen to be whole."""
    stream = _Stream(pieces)
    contents = Contents.parse(stream.line())
    for listed in contents.files:
        descriptor = os.open(stage / listed.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in stream.take(listed.size):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    stream.end()
    return contents


def _check(contents: Contents, stage: Path) -> bytes:
    """Key, configuration and ledger belong together and hold; the epoch that is opened then."""
    identity = load_identity(stage)
    parse_config((stage / CONFIG_FILE).read_text())
    database = stage / DATABASE_FILE
    with open_ledger(stage, database) as ledger:  # first: an older schema is brought up to date
        if not ledger.node == identity.public == contents.node:
            raise Unopened("The parts of this backup are not of one node.", code="damaged")
    with LedgerReader.open(database) as reader:
        report = verify(reader, posting_rule)
    if not report.ok:
        raise LedgerInvalid(f"The ledger in this backup does not hold: {report.sentence}")
    with open_ledger(stage, database) as ledger:
        return ledger.transact(open_epoch).entry.epoch


def _put_in_place(contents: Contents, stage: Path, data: Path) -> None:
    if (stage / f"{DATABASE_FILE}-wal").exists():
        raise LocalError("The ledger's log was not written into its file; nothing was put in place.", code="store")
    for name in (name for name in FILES if (stage / name).exists()):
        _sync(stage / name)
        (stage / name).rename(data / name)
    sync_directory(data)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


class _Stream:
    """The pieces of a backup, cut where its files end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._waiting = b""

    def line(self) -> bytes:
        while b"\n" not in self._waiting and len(self._waiting) <= MAX_LIST_BYTES and self._more():
            pass
        line, found, self._waiting = self._waiting.partition(b"\n")
        if not found or len(line) > MAX_LIST_BYTES:
            raise Unopened("The backup does not begin with a list of its files.", code="damaged")
        return line

    def take(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._waiting and not self._more():
                raise Unopened("The backup ends too early.", code="damaged")
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            size -= len(piece)
            yield piece

    def end(self) -> None:
        if self._waiting or self._more():
            raise Unopened("Something stands behind the last file of the backup.", code="damaged")

    def _more(self) -> bool:
        """Whether anything came; at the end, every piece was checked."""
        for piece in self._pieces:
            self._waiting += piece
            if piece:
                return True
        return False
