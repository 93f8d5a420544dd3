"""A disk whose durability is modelled: what a power cut leaves of a database, where in a commit a process may die."""

import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Engine

from ledger.errors import StoreFailed
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.sqlite import engine_of
from ledger.store.transaction import Transaction
from v2xnode.entropy import Entropy
from v2xnode.settling.money import posting_rule

T = TypeVar("T")

UNSYNCED_COMMITS = 12
"""Commits that a power cut takes back where a commit returns before it is on the platter."""


class Synchronous(Enum):
    """What a returned commit means (SQLite's words)."""

    FULL = auto()
    NORMAL = auto()


@dataclass(slots=True)
class Disk:
    """The database of one node through its lives. image: what is on the platter."""

    synchronous: Synchronous = Synchronous.FULL
    image: bytes = b""
    full: bool = False
    """No room: whatever would be written fails."""
    _older: "deque[bytes]" = field(default_factory=lambda: deque(maxlen=UNSYNCED_COMMITS))

    def connect(self) -> sqlite3.Connection:
        """A connection that sees what the platter holds."""
        opened = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if self.image:
            opened.deserialize(self.image)
        opened.execute("PRAGMA foreign_keys=ON")
        return opened

    def committed(self, connection: sqlite3.Connection) -> None:
        """A commit has returned."""
        if self.synchronous is Synchronous.NORMAL:
            self._older.append(connection.serialize())

    def lose_process(self, connection: sqlite3.Connection) -> None:
        """The process dies; the machine goes on and writes what it was given. What was not committed never was."""
        connection.rollback()
        self.image = connection.serialize()

    def lose_power(self, connection: sqlite3.Connection) -> None:
        """What was not synced is gone."""
        connection.rollback()
        self.image = self._older[0] if self._older else connection.serialize()
        self._older.clear()


def engine_over(driver: sqlite3.Connection) -> Engine:
    """An engine that connects to this next. It is one for the whole process, since each engine has to compile every
    statement for itself, and a process lives through thousands of databases."""
    engine, waiting = _engine()
    waiting.append(driver)
    return engine


@cache
def _engine() -> tuple[Engine, list[sqlite3.Connection]]:
    waiting: list[sqlite3.Connection] = []
    return engine_of(waiting.pop), waiting


class _Died(Exception):
    """The process is gone before its commit."""


@dataclass(slots=True)
class DiskWriter:
    """Takes transactions as the ledger's thread does, and runs each at once. `reached` is told before and after each
    commit of something, and may end this life there: then nothing more is written, and nobody hears what was."""

    disk: Disk
    ledger: Ledger
    driver: sqlite3.Connection
    reached: Callable[[str], None]
    dead: bool = False
    commits: int = 0
    _waiting: list["Future[Any]"] = field(default_factory=list)
    _buried: bool = False

    @classmethod
    def open(cls, disk: Disk, signer: Signer, entropy: Entropy, reached: Callable[[str], None]) -> "DiskWriter":
        driver = disk.connect()
        ledger = Ledger.over(engine_over(driver), signer, posting_rule=posting_rule, entropy=entropy)
        return cls(disk, ledger, driver, reached)

    def submit(self, fn: Callable[[Transaction], T]) -> "Future[T]":
        """See `ledger.store.writer.Writer.submit`."""
        future: Future[T] = Future()
        if self.dead:
            return self._unanswered(future)
        before = self.driver.total_changes
        try:
            result = self.ledger.transact(lambda transaction: self._prepare(fn, transaction, before))
        except _Died:
            return self._unanswered(future)
        except Exception as problem:  # noqa: BLE001  # whatever it is, it is the waiter's
            future.set_exception(problem)
            return future
        if self.driver.total_changes != before:
            self.commits += 1
            self.disk.committed(self.driver)
            self.reached("after_commit")
        if self.dead:
            return self._unanswered(future)
        future.set_result(result)
        return future

    def _unanswered(self, future: "Future[T]") -> "Future[T]":
        """Whoever waits for it is dead too."""
        self._waiting.append(future)
        if self._buried:
            self.bury()
        return future

    def bury(self) -> None:
        """Let the code of the dead process end: from now on nothing can be written."""
        self._buried, waiting, self._waiting = True, self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_exception(StoreFailed("the process is dead"))

    def _prepare(self, fn: Callable[[Transaction], T], transaction: Transaction, before: int) -> T:
        """All of a transaction but its commit."""
        result = fn(transaction)
        if self.driver.total_changes == before:
            return result
        if self.disk.full:
            raise StoreFailed("database or disk is full")
        self.reached("before_commit")
        if self.dead:
            raise _Died
        return result
