"""The ledger of one node on disk: opened, written in transactions, closed. One thread and one process use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from sqlalchemy import Connection, Engine, insert, select

from ledger.errors import Closed, Corrupt, KeyMissing, RemoteLedgerError, UnknownSchema, WrongOwner
from ledger.keys.bodies import Genesis, encode_key
from ledger.signing import Signer
from ledger.store import schema
from ledger.store.database import database_at, translated
from ledger.store.history import Histories, PostingRule
from ledger.store.known import Known
from ledger.store.migrating import bring_up_to_date
from ledger.store.statements import command
from ledger.store.transaction import Entropy, Transaction
from ledger.store.version import EMPTY, record_version, version_of

T = TypeVar("T")

FILE_NAME: Final = "ledger.store.sqlite"
"""The database's name in a data directory, by custom."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What one of several transactions came to: its result, or what it raised."""

    result: T | None
    error: BaseException | None


class Ledger:
    """Appends for one key. Take the data directory first (`directory.DirectoryLock`).

    Use from the thread that opened it; `writer.Writer` gives it a thread of its own.
    """

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        signer: Signer,
        rule: PostingRule,
        entropy: Entropy,
        commitment: bytes,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._driver = connection.connection.driver_connection
        self._signers = {signer.public: signer}
        self._node = signer.public
        self._commitment = commitment
        self._entropy = entropy
        self._known = Known(Histories(rule))

    @classmethod
    def open(
        cls,
        where: Path | str,
        signer: Signer,
        *,
        posting_rule: PostingRule,
        entropy: Entropy = os.urandom,
        commitment: bytes = b"",
    ) -> Ledger:
        """Open the database at a path or a PostgreSQL URL, in which `signer` is the key that signs now.

        A new one gets its tables and the genesis entry of `signer`'s chain, with the commitment to its offline
        revocation key (`keys.commitment_to`). An older database is copied and migrated first.
        Raises StoreFailed, NotDurable, LedgerHeld, WrongOwner, KeyMissing (the node's key has been changed since),
        UnknownSchema, or Corrupt when our own head does not hold.
        """
        with translated():
            database = database_at(where)
            bring_up_to_date(database)
            engine = database.for_writing()
        return cls.over(engine, signer, posting_rule=posting_rule, entropy=entropy, commitment=commitment)

    @classmethod
    def over(
        cls,
        engine: Engine,
        signer: Signer,
        *,
        posting_rule: PostingRule,
        entropy: Entropy = os.urandom,
        commitment: bytes = b"",
    ) -> Ledger:
        """As `open`, over an engine that the caller answers for: whether its commits last is not asked here."""
        with translated():
            connection = engine.connect()
        ledger = cls(engine, connection, signer, posting_rule, entropy, commitment)
        try:
            ledger._prepare()
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def node(self) -> bytes:
        """Our genesis key: the node's name."""
        return self._node

    @property
    def lost(self) -> bool:
        """Whether the connection to a server is gone, and with it the right to write: open the ledger anew."""
        return bool(getattr(self._driver, "closed", False))

    def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` in one transaction. When this returns, all that it did is on the disk.

        Whatever `fn` raises rolls everything back and passes. `fn` must not keep the transaction, nor wait.
        """
        return self._committed(lambda: self._run(fn))

    def transact_all(self, fns: Sequence[Callable[[Transaction], T]]) -> Sequence[Outcome[T]]:
        """Run each in turn as `transact` does, but with one commit for all that come to an end: waiting for the disk
        once, and no more often, is most of what many writers save.

        One that raises rolls back alone, and its outcome says why. Raises StoreFailed, of all of them, when the
        commit fails: nothing of any is kept.
        """
        if len(fns) == 1:
            return [self._alone(fns[0])]
        return self._committed(lambda: [self._apart(fn) for fn in fns])

    def close(self) -> None:
        """Give the file back. Twice is once."""
        with translated():
            self._connection.close()
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _committed(self, work: Callable[[], T]) -> T:
        if self._connection.closed:
            raise Closed("the ledger is closed")
        with translated():
            transaction = self._connection.begin()
        try:
            result = work()
            with translated():
                transaction.commit()
        except BaseException:
            self._known.forget()
            with translated():
                transaction.rollback()
            raise
        return result

    def _alone(self, fn: Callable[[Transaction], T]) -> Outcome[T]:
        try:
            return Outcome(self.transact(fn), None)
        except Exception as error:  # noqa: BLE001  # as in `_apart`
            return Outcome(None, error)

    def _apart(self, fn: Callable[[Transaction], T]) -> Outcome[T]:
        """As `_run`, but what others wrote before stays when it raises."""
        outcome: Outcome[T]
        command(self._connection, "SAVEPOINT apart")
        try:
            outcome = Outcome(self._run(fn), None)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the one's that asked for this
            self._known.forget()
            command(self._connection, "ROLLBACK TO SAVEPOINT apart")  # where that fails, nothing of any is kept
            outcome = Outcome(None, error)
        command(self._connection, "RELEASE SAVEPOINT apart")
        return outcome

    def _run(self, fn: Callable[[Transaction], T]) -> T:
        transaction = Transaction(self._connection, self._node, self._signers, self._entropy, self._known)
        try:
            result = fn(transaction)
            transaction.check_complete()
        finally:
            transaction.end()
        return result

    def _prepare(self) -> None:
        self.transact(self._create_if_new)
        self._node = self._owner()
        self.transact(self._check_owner)

    def _create_if_new(self, transaction: Transaction) -> None:
        with translated():
            created = self._create_tables()
        if created:
            transaction.append_genesis(encode_key(Genesis(self.node, self._commitment)))

    def _create_tables(self) -> bool:
        version = version_of(self._connection)
        if version == schema.SCHEMA_VERSION:
            return False
        if version != EMPTY:
            raise UnknownSchema(f"the database has schema {version} and was not migrated to {schema.SCHEMA_VERSION}")
        schema.metadata.create_all(self._connection, checkfirst=False)
        rows = ((schema.META_SCHEMA, b""), (schema.META_NODE, self.node))
        for position, (name, value) in enumerate(rows, start=1):
            self._connection.execute(insert(schema.meta).values(position=position, name=name, value=value))
        record_version(self._connection, schema.SCHEMA_VERSION)
        return True

    def _owner(self) -> bytes:
        """Whose ledger the database says it is."""
        query = select(schema.meta.c.value).where(schema.meta.c.name == schema.META_NODE)
        with translated(), self._connection.begin():
            owner = self._connection.execute(query).scalar()
        if not isinstance(owner, bytes):
            raise Corrupt("the database does not say whose ledger it is; run verify")
        return owner

    def _check_owner(self, transaction: Transaction) -> None:
        keys = transaction.keys_of(self.node)
        if keys.current not in self._signers and not any(keys.signed(public) for public in self._signers):
            raise WrongOwner("the database belongs to another key")
        head = transaction.head()
        if head is None:
            raise Corrupt("the database has no chain of ours; run verify")
        try:
            head.signed.check(keys.key_at(head.entry.epoch, head.entry.seq))
        except RemoteLedgerError as error:
            raise Corrupt(f"our newest entry does not hold ({error}); run verify") from error
        if keys.current not in self._signers:
            raise KeyMissing("the key of this node has been changed: this one signs no more")
