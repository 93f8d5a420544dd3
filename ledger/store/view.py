"""What can be read: the same questions for a running transaction and for a read-only reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from ledger.accounts import Balance, State
from ledger.cbor import INT_MAX
from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import Closed, Corrupt, LedgerError
from ledger.keys.key_book import KeyBook
from ledger.keys.key_history import KeyHistory
from ledger.message import MessageKind, SignedMessage
from ledger.store import questions
from ledger.store.questions import EntryRow, MessageRow
from ledger.store.statements import AnyTuple, Prepared

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
    def pruned(self) -> bool:
        """Whether its body is no longer held."""
        return self.signed.pruned

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


@dataclass(frozen=True, slots=True)
class Movement:
    """A posting of one account, and the entry that it comes from. place: among all postings, from 1."""

    place: int
    stored: StoredEntry
    currency: str
    state: State
    amount_micro: int


class View:
    """Reads through one connection, inside one transaction: all answers are of the same moment.

    Raises StoreFailed when the database does, Corrupt for a row that this package did not write.
    """

    def __init__(self, connection: Connection, node: bytes, key_book: KeyBook) -> None:
        self._live: Connection | None = connection
        self._node = node
        self._key_book = key_book

    @property
    def node(self) -> bytes:
        """The public key whose ledger this is."""
        return self._node

    def entry(self, hash_: bytes) -> StoredEntry | None:
        """The entry of that hash, own or a peer's."""
        return self._entry(questions.ENTRY, hash=hash_)

    def entry_at(self, node: bytes, epoch: bytes, seq: int) -> StoredEntry | None:
        """The entry held at that place of `node`'s chain."""
        return self._entry(questions.ENTRY_AT, node=node, epoch=epoch, seq=seq)

    def hash_at(self, node: bytes, epoch: bytes, seq: int) -> bytes | None:
        """The hash of `entry_at`: what `entry.from_wire` asks for."""
        held = self.entry_at(node, epoch, seq)
        return None if held is None else held.hash

    def entries(self, request_id: bytes, *, before: int | None = None) -> Sequence[StoredEntry]:
        """The entries of a trade, both parties', in the order of arrival; `before` a position, if given."""
        end = INT_MAX if before is None else before
        return self._entries(questions.TRADE, request_id=request_id, before=end, limit=MAX_ROWS)

    def apart(self, type: EntryType, node: bytes, *, after: int = 0) -> Sequence[StoredEntry]:
        """The entries of that type in `node`'s chain that belong to no trade, behind position `after`, oldest first."""
        return self._entries(questions.APART, type=int(type), node=node, after=after, limit=MAX_ROWS)

    def newest_apart(self, type: EntryType, node: bytes, epoch: bytes, number: int) -> Sequence[StoredEntry]:
        """The last `number` of `apart` that are of that epoch, newest first."""
        limit = min(number, MAX_ROWS)
        return self._entries(questions.NEWEST_APART, type=int(type), node=node, epoch=epoch, limit=limit)

    def last_apart(self, type: EntryType, node: bytes, number: int) -> Sequence[StoredEntry]:
        """The last `number` of `apart`, newest first."""
        return self._entries(questions.LAST_APART, type=int(type), node=node, limit=min(number, MAX_ROWS))

    def number_apart(self, type: EntryType, node: bytes | None = None) -> int:
        """How many entries of that type belong to no trade: of one chain, or of all."""
        if node is None:
            return int(self.rows(questions.NUMBER_OF_TYPE, type=int(type))[0][0])
        return int(self.rows(questions.NUMBER_APART, type=int(type), node=node)[0][0])

    def has_traded(self, node: bytes) -> bool:
        """Whether an entry of a trade is held that `node` has signed: keys alone cost nothing."""
        return self.first(questions.TRADED, node=node) is not None

    def payloads(self, node: bytes, epoch: bytes, first: int, number: int) -> Sequence[bytes]:
        """Of `number` entries of an epoch from `first` on, or of those before the first that is not held."""
        rows = self.rows(questions.PAYLOADS, node=node, epoch=epoch, first=first, end=first + number)
        return [payload for at, (seq, payload) in enumerate(rows) if seq == first + at]

    def page(self, *, after: int = 0, limit: int = 100) -> Sequence[StoredEntry]:
        """Up to `limit` entries behind position `after`, in the order of arrival."""
        return self._entries(questions.PAGE, after=after, limit=min(limit, MAX_ROWS))

    def head(self) -> StoredEntry | None:
        """The newest entry of our own chain: of its live epoch, whatever was adopted of older ones later."""
        return self._entry(questions.HEAD, node=self.node, epoch=self.keys_of(self.node).live)

    def key_entries(self, node: bytes) -> Sequence[SignedEntry]:
        """The KEY entries held of a node, in the order of arrival: what shows its keys to somebody else."""
        return [stored.signed for stored in self.apart(EntryType.KEY, node)]

    def keys_of(self, node: bytes) -> KeyHistory:
        """Which key of a node signs where, as far as we were shown. Raises Corrupt."""
        return self._key_book.of(node, lambda: self.key_entries(node))

    def holds_epoch(self, node: bytes, epoch: bytes) -> bool:
        """Whether anything of that epoch is held."""
        return self.first(questions.EPOCH, node=node, epoch=epoch) is not None

    def newest_of(self, node: bytes) -> tuple[bytes, int] | None:
        """(epoch, seq) of the newest entry held of `node`: the highest seq in the epoch that was heard of last."""
        row = self.first(questions.NEWEST, node=node)
        return None if row is None else (row[0], row[1])

    def message(self, hash_: bytes) -> StoredMessage | None:
        """The kept message of that hash."""
        row = self.first(questions.MESSAGE, hash=hash_)
        return None if row is None else stored_message(MessageRow._make(row))

    def messages(self, request_id: bytes) -> Sequence[StoredMessage]:
        """The messages kept for a trade, in the order of arrival."""
        return self._messages(questions.SAID, request_id=request_id, limit=MAX_ROWS)

    def messages_of(self, kind: MessageKind) -> Sequence[StoredMessage]:
        """The kept messages of a kind, in the order of arrival."""
        return self._messages(questions.SAID_AS, kind=int(kind), limit=MAX_ROWS)

    def message_page(self, *, after: int = 0, limit: int = 100) -> Sequence[StoredMessage]:
        """Up to `limit` kept messages behind position `after`, in the order of arrival."""
        return self._messages(questions.SAID_PAGE, after=after, limit=min(limit, MAX_ROWS))

    def outbox(self, peer: bytes | None = None) -> Sequence[Outgoing]:
        """What is not acknowledged yet, by `peer` or by anybody, oldest first."""
        rows = (
            self.rows(questions.OUTBOX, limit=MAX_ROWS)
            if peer is None
            else self.rows(questions.OUTBOX_OF, peer=peer, limit=MAX_ROWS)
        )
        return [Outgoing(row[0], stored_entry(EntryRow._make(row[1:]), self.node).signed) for row in rows]

    def locks(self) -> Sequence[Lock]:
        """All locks, by start."""
        return [Lock(*row) for row in self.rows(questions.LOCKS, limit=MAX_ROWS)]

    def get(self, name: str) -> bytes | None:
        """The document kept under `name`."""
        row = self.first(questions.DOCUMENT, name=name)
        if row is not None and not isinstance(row[0], bytes):
            raise Corrupt("a document is of the wrong type")
        return None if row is None else row[0]

    def balance(self, account: str, currency: str) -> Balance:
        """Of one account in one currency; zero for one that was never used."""
        return self.balances(account=account).get((account, currency), Balance())

    def balances(self, *, account: str | None = None, kind: str = "") -> Mapping[tuple[str, str], Balance]:
        """By (account, currency): of every account, of one, or of those whose name begins with `kind` and a colon."""
        if kind:
            rows = self.rows(questions.BALANCES_LIKE, pattern=f"{kind}:%", limit=MAX_ROWS)
        elif account is None:
            rows = self.rows(questions.BALANCES, limit=MAX_ROWS)
        else:
            rows = self.rows(questions.BALANCES_OF, account=account, limit=MAX_ROWS)
        found: dict[tuple[str, str], Balance] = {}
        for name, currency, state, amount_micro in rows:
            if state not in State.__members__.values():
                raise Corrupt(f"a posting is in the unknown state {state!r}")
            before = found.get((name, currency), Balance())
            found[name, currency] = before.plus(State(state), amount_micro)
        return found

    def movements(self, account: str, *, after: int = 0) -> Sequence[Movement]:
        """What was posted or held in one account behind place `after`, in the order of its postings."""
        found = self.rows(questions.MOVEMENTS, account=account, after=after, limit=MAX_ROWS)
        return [
            Movement(place, stored_entry(EntryRow._make(row), self.node), currency, State(state), amount_micro)
            for place, currency, state, amount_micro, *row in found
        ]

    def rows(self, statement: Prepared, **values: object) -> Sequence[AnyTuple]:
        """What `statement` finds. For questions that the ledger's other rooms ask."""
        return statement.run(self._connection, values)

    def first(self, statement: Prepared, **values: object) -> AnyTuple | None:
        """The first row of what it finds."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    @property
    def _connection(self) -> Connection:
        if self._live is None:
            raise Closed("the transaction is over")
        return self._live

    def _entry(self, statement: Prepared, **values: object) -> StoredEntry | None:
        row = self.first(statement, **values)
        return None if row is None else stored_entry(EntryRow._make(row), self.node)

    def _entries(self, statement: Prepared, **values: object) -> Sequence[StoredEntry]:
        node = self.node
        return [stored_entry(EntryRow._make(row), node) for row in self.rows(statement, **values)]

    def _messages(self, statement: Prepared, **values: object) -> Sequence[StoredMessage]:
        return [stored_message(MessageRow._make(row)) for row in self.rows(statement, **values)]


def stored_entry(row: EntryRow, node: bytes) -> StoredEntry:
    """The entry of a row; `node` is the ledger's own key. Raises Corrupt."""
    salt, body = row.salt or b"", row.body or b""
    _demand_bytes("entry", row.position, row.payload, row.signature, salt, body, row.request_id or b"")
    try:
        entry = Entry.parse(row.payload)
    except LedgerError as error:
        raise Corrupt(f"entry row {row.position} does not hold an entry: {error}") from error
    signed = SignedEntry(entry, row.signature, salt, body, row.request_id)
    return StoredEntry(row.position, row.node == node, signed)


def stored_message(row: MessageRow) -> StoredMessage:
    """The message of a row. Raises Corrupt."""
    _demand_bytes("message", row.position, row.signer, row.payload, row.signature, row.request_id)
    if row.kind not in MessageKind.__members__.values():
        raise Corrupt(f"message row {row.position} is of an unknown kind")
    message = SignedMessage(MessageKind(row.kind), row.signer, row.payload, row.signature)
    return StoredMessage(row.position, message, row.request_id)


def _demand_bytes(table: str, position: int, *values: object) -> None:
    if not all(isinstance(value, bytes) for value in values):
        raise Corrupt(f"{table} row {position} holds a value of the wrong type")
