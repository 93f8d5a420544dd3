"""What can be read: the same questions for a running transaction and for a read-only reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, cast, func, select

from ledger import schema
from ledger.accounts import Balance, State
from ledger.database import translated
from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import Closed, Corrupt, LedgerError
from ledger.message import MessageKind, SignedMessage

AnyRow: TypeAlias = Row[*tuple[Any, ...]]

_SUM_MICRO: Final = cast(func.sum(schema.posting.c.amount_micro), schema.INT64)  # PostgreSQL sums to a decimal

MAX_ROWS: Final = 10_000
"""Of one answer, so that memory stays bounded; a trade's entries too (an interval a minute for three days)."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as held: `position` in the order of arrival from 1, `own` when this node signed it."""

    position: int
    own: bool
    signed: SignedEntry

    @property
    def entry(self) -> Entry:
        """The signed fields."""
        return self.signed.entry

    @property
    def type(self) -> EntryType:
        """What it says."""
        return self.signed.entry.type

    @property
    def hash(self) -> bytes:
        """SHA-256 of its payload."""
        return self.signed.hash

    @property
    def body(self) -> bytes:
        """The bytes that it commits to."""
        return self.signed.body

    @property
    def request_id(self) -> bytes | None:
        """The trade, if it belongs to one."""
        return self.signed.request_id


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A request, offer or counter as held, and the trade it was kept for."""

    position: int
    message: SignedMessage
    request_id: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An entry that `peer` has not acknowledged. Sent again as it is, never signed again."""

    peer: bytes
    signed: SignedEntry


@dataclass(frozen=True, slots=True)
class Lock:
    """`quantity` of `resource` held for a trade from `from_ms` until `until_ms` (UTC). The units are the caller's."""

    request_id: bytes
    resource: str
    quantity: int
    from_ms: int
    until_ms: int


class View:
    """Reads through one connection, inside one transaction: all answers are of the same moment.

    Raises StoreFailed when the database does, Corrupt for a row that this package did not write.
    """

    def __init__(self, connection: Connection, node: bytes) -> None:
        self._live: Connection | None = connection
        self._node = node

    @property
    def node(self) -> bytes:
        """The public key whose ledger this is."""
        return self._node

    def entry(self, hash_: bytes) -> StoredEntry | None:
        """The entry of that hash, own or a peer's."""
        return self._one_entry(schema.entry.c.hash == hash_)

    def entry_at(self, node: bytes, epoch: bytes, seq: int) -> StoredEntry | None:
        """The entry held at that place of `node`'s chain."""
        table = schema.entry.c
        return self._one_entry((table.node == node) & (table.epoch == epoch) & (table.seq == seq))

    def hash_at(self, node: bytes, epoch: bytes, seq: int) -> bytes | None:
        """The hash of `entry_at`: what `entry.from_wire` asks for."""
        held = self.entry_at(node, epoch, seq)
        return None if held is None else held.hash

    def entries(self, request_id: bytes, *, before: int | None = None) -> Sequence[StoredEntry]:
        """The entries of a trade, both parties', in the order of arrival; `before` a position, if given."""
        query = select(schema.entry).where(schema.entry.c.request_id == request_id)
        if before is not None:
            query = query.where(schema.entry.c.position < before)
        query = query.order_by(schema.entry.c.position).limit(MAX_ROWS)
        return [self._stored(row) for row in self._rows(query)]

    def apart(self, type: EntryType, node: bytes, *, after: int = 0) -> Sequence[StoredEntry]:
        """The entries of that type in `node`'s chain that belong to no trade, behind position `after`, oldest first."""
        query = _apart(type, node).where(schema.entry.c.position > after)
        return [self._stored(row) for row in self._rows(query.order_by(schema.entry.c.position).limit(MAX_ROWS))]

    def recent_apart(self, type: EntryType, node: bytes, number: int) -> Sequence[StoredEntry]:
        """The last `number` of `apart`, newest first."""
        query = _apart(type, node).order_by(schema.entry.c.position.desc())
        return [self._stored(row) for row in self._rows(query.limit(min(number, MAX_ROWS)))]

    def newest_apart(self, type: EntryType, node: bytes, epoch: bytes) -> StoredEntry | None:
        """The last of `apart` that is of that epoch."""
        query = _apart(type, node).where(schema.entry.c.epoch == epoch)
        row = self._first(query.order_by(schema.entry.c.position.desc()))
        return None if row is None else self._stored(row)

    def payloads(self, node: bytes, epoch: bytes, first: int, number: int) -> Sequence[bytes]:
        """Of `number` entries of an epoch from `first` on, or of those before the first that is not held."""
        table = schema.entry.c
        query = select(table.seq, table.payload).where(table.node == node, table.epoch == epoch)
        query = query.where(table.seq >= first, table.seq < first + number).order_by(table.seq)
        return [row.payload for at, row in enumerate(self._rows(query)) if row.seq == first + at]

    def page(self, *, after: int = 0, limit: int = 100) -> Sequence[StoredEntry]:
        """Up to `limit` entries behind position `after`, in the order of arrival."""
        query = select(schema.entry).where(schema.entry.c.position > after)
        query = query.order_by(schema.entry.c.position).limit(min(limit, MAX_ROWS))
        return [self._stored(row) for row in self._rows(query)]

    def head(self) -> StoredEntry | None:
        """The newest entry of our own chain."""
        table = schema.entry
        query = select(table).where(table.c.node == self.node).order_by(table.c.position.desc())
        row = self._first(query)
        return None if row is None else self._stored(row)

    def newest_of(self, node: bytes) -> tuple[bytes, int] | None:
        """(epoch, seq) of the newest entry held of `node`: the highest seq in the epoch that was heard of last."""
        table = schema.entry.c
        query = select(table.epoch, func.max(table.seq)).where(table.node == node).group_by(table.epoch)
        row = self._first(query.order_by(func.min(table.position).desc()))
        return None if row is None else (row[0], row[1])

    def message(self, hash_: bytes) -> StoredMessage | None:
        """The kept message of that hash."""
        row = self._first(select(schema.message).where(schema.message.c.hash == hash_))
        return None if row is None else stored_message(row)

    def messages(self, request_id: bytes) -> Sequence[StoredMessage]:
        """The messages kept for a trade, in the order of arrival."""
        query = select(schema.message).where(schema.message.c.request_id == request_id)
        query = query.order_by(schema.message.c.position).limit(MAX_ROWS)
        return [stored_message(row) for row in self._rows(query)]

    def message_page(self, *, after: int = 0, limit: int = 100) -> Sequence[StoredMessage]:
        """Up to `limit` kept messages behind position `after`, in the order of arrival."""
        query = select(schema.message).where(schema.message.c.position > after)
        query = query.order_by(schema.message.c.position).limit(min(limit, MAX_ROWS))
        return [stored_message(row) for row in self._rows(query)]

    def outbox(self, peer: bytes | None = None) -> Sequence[Outgoing]:
        """What is not acknowledged yet, by `peer` or by anybody, oldest first."""
        table = schema.outbox
        query = select(table.c.peer, schema.entry).join(schema.entry, schema.entry.c.hash == table.c.entry_hash)
        if peer is not None:
            query = query.where(table.c.peer == peer)
        query = query.order_by(table.c.id).limit(MAX_ROWS)
        return [Outgoing(row.peer, self._stored(row).signed) for row in self._rows(query)]

    def locks(self) -> Sequence[Lock]:
        """All locks, by start."""
        query = select(schema.lock).order_by(schema.lock.c.from_ms, schema.lock.c.request_id)
        return [Lock(*row) for row in self._rows(query.limit(MAX_ROWS))]

    def get(self, name: str) -> bytes | None:
        """The document kept under `name`."""
        query = select(schema.document.c.value).where(schema.document.c.name == name)
        row = self._first(query)
        return None if row is None else row.value

    def balance(self, account: str, currency: str) -> Balance:
        """Of one account in one currency; zero for one that was never used."""
        return self.balances(account=account).get((account, currency), Balance())

    def balances(self, *, account: str | None = None) -> Mapping[tuple[str, str], Balance]:
        """By (account, currency): of every account, or of one."""
        table = schema.posting.c
        query = select(table.account, table.currency, table.state, _SUM_MICRO)
        if account is not None:
            query = query.where(table.account == account)
        query = query.group_by(table.account, table.currency, table.state)
        found: dict[tuple[str, str], Balance] = {}
        for name, currency, state, amount_micro in self._rows(query.limit(MAX_ROWS)):
            if state not in State.__members__.values():
                raise Corrupt(f"a posting is in the unknown state {state!r}")
            before = found.get((name, currency), Balance())
            found[name, currency] = before.plus(State(state), amount_micro)
        return found

    @property
    def _connection(self) -> Connection:
        if self._live is None:
            raise Closed("the transaction is over")
        return self._live

    def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        with translated():
            try:
                return self._connection.execute(query).all()
            except TypeError as error:  # a table made by somebody else, with text or NULL in a column of bytes
                raise Corrupt("a stored value is of the wrong type") from error

    def _first(self, query: Select[*tuple[Any, ...]]) -> AnyRow | None:
        rows = self._rows(query.limit(1))
        return rows[0] if rows else None

    def _one_entry(self, condition: ColumnElement[bool]) -> StoredEntry | None:
        row = self._first(select(schema.entry).where(condition))
        return None if row is None else self._stored(row)

    def _stored(self, row: AnyRow) -> StoredEntry:
        return stored_entry(row, self.node)


def _apart(type: EntryType, node: bytes) -> Select[*tuple[Any, ...]]:
    """`request_id IS NULL` is what the index over these few entries says too."""
    table = schema.entry.c
    return select(schema.entry).where(table.type == int(type), table.node == node, table.request_id.is_(None))


def stored_entry(row: AnyRow, node: bytes) -> StoredEntry:
    """The entry of a row of `schema.entry`; `node` is the ledger's own key. Raises Corrupt."""
    _demand_bytes("entry", row, row.payload, row.signature, row.salt, row.body, row.request_id or b"")
    try:
        entry = Entry.parse(row.payload)
    except LedgerError as error:
        raise Corrupt(f"entry row {row.position} does not hold an entry: {error}") from error
    signed = SignedEntry(entry, row.signature, row.salt, row.body, row.request_id)
    return StoredEntry(row.position, row.node == node, signed)


def stored_message(row: AnyRow) -> StoredMessage:
    """The message of a row of `schema.message`. Raises Corrupt."""
    _demand_bytes("message", row, row.signer, row.payload, row.signature, row.request_id)
    if row.kind not in MessageKind.__members__.values():
        raise Corrupt(f"message row {row.position} is of an unknown kind")
    message = SignedMessage(MessageKind(row.kind), row.signer, row.payload, row.signature)
    return StoredMessage(row.position, message, row.request_id)


def _demand_bytes(table: str, row: AnyRow, *values: object) -> None:
    if not all(isinstance(value, bytes) for value in values):
        raise Corrupt(f"{table} row {row.position} holds a value of the wrong type")
