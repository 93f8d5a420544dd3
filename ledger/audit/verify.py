"""Checks a whole ledger, as a stranger would: everything is computed again, and the first bad row is named.

Covered, every column of every row: `meta`, `message`, `entry`, `posting`, in this order, and all of `witnessed` but the
time at which we were shown a checkpoint. Not covered, because they are caches (`schema` says why that is safe):
`outbox`, `lock`, `document`.

It can't see that a tail was cut off: a ledger that ends earlier is a ledger too. A peer's memory of our newest
entry shows that, or a signed checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger import cbor, chain
from ledger.audit.own_chain import OwnChain
from ledger.audit.postings import PostingAudit
from ledger.audit.proofs import ProofAudit, check_witnessed
from ledger.audit.pruned import BooksRule, PrunedAudit
from ledger.audit.rows import AnyRow, Broken, Fault, Found, demand, demand_equal, numbered, walk
from ledger.audit.signature_checks import SignatureChecks
from ledger.entry import NODE_BYTES, Entry, EntryType, SignedEntry, check_body
from ledger.errors import Gap, LedgerError
from ledger.keys.key_history import KeyHistory
from ledger.message import MessageKind, SignedMessage
from ledger.signing import AAD_ENTRY, verify1
from ledger.store import schema
from ledger.store.database import DATABASE_ERRORS
from ledger.store.history import PostingRule
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry

Place: TypeAlias = tuple[bytes, bytes, int]
"""Node, epoch, seq."""


_MIGRATE: Final = "an older database is migrated when its node starts, a newer one needs newer software"


@dataclass(frozen=True, slots=True)
class Report:
    """How many rows held before the first fault, or in all. `head` is the newest entry of the ledger's own chain.

    `compared`: it was held against a checkpoint too (`against`).
    """

    entries: int
    messages: int
    postings: int
    head: Entry | None
    fault: Fault | None
    compared: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with what is there."""
        return self.fault is None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.fault is not None or self.head is None:
            return str(self.fault)
        tail = (
            "They agree with the checkpoint."
            if self.compared
            else "Whether later ones were cut off, only a peer or a checkpoint can tell."
        )
        return (
            f"{self.entries} entries, {self.messages} messages and {self.postings} postings hold, up to our own "
            f"entry {self.head.seq} ({self.head.hash.hex()[:16]}…). {tail}"
        )


def verify(reader: LedgerReader, posting_rule: PostingRule, books_rule: BooksRule | None = None) -> Report:
    """Recompute all that the ledger says: columns, hashes, signatures, commitments, salts, chains, order, answers,
    postings. The report names the first row that does not hold. Without `books_rule` no body may have been dropped.

    Raises nothing for what stands in the database, however damaged; only what `posting_rule` raises beside
    ValueError and LedgerError passes.
    """
    audit = _Audit(reader, posting_rule, books_rule)
    fault = None
    try:
        audit.run()
    except Found as found:
        fault = found.fault
    except LedgerError as error:  # rows that were read once can't be read again: an index or the disk
        fault = Fault("database", 0, "", error.code, str(error))
    return Report(audit.entries, audit.messages, audit.postings.count, audit.head, fault)


class _Audit:
    """The state of one walk. `held` is what can be answered so far, with its request id."""

    def __init__(self, reader: LedgerReader, posting_rule: PostingRule, books_rule: BooksRule | None) -> None:
        self._reader = reader
        self._pruned = PrunedAudit(books_rule)
        self.postings = PostingAudit(reader, posting_rule)
        self._node = b""
        self._held: dict[bytes, bytes | None] = {}
        self._places: dict[Place, tuple[bytes, bytes]] = {}  # -> hash, prev
        self._arrival = schema.NO_ARRIVAL
        self._keys: dict[bytes, KeyHistory] = {}
        self._own = OwnChain()
        self._proofs = ProofAudit(self._keys_of, self._own)
        self.entries = self.messages = 0

    @property
    def head(self) -> Entry | None:
        """The newest entry of the ledger's own chain so far."""
        return self._own.head

    def run(self) -> None:
        self._check_meta()
        self._arrival = schema.NO_ARRIVAL
        walk(self._reader.connection, schema.message, self._check_message)
        self._arrival = schema.NO_ARRIVAL
        self._check_entries()
        if self._own.head is None:
            raise Found(Fault("entry", 1, "", Gap.code, "the chain's genesis entry is missing"))
        self._pruned.check_bodies()
        self.postings.finish()
        self._pruned.check_books()
        check_witnessed(self._reader.connection, self._keys_of)
        self._check_file()

    def _check_meta(self) -> None:
        found: dict[str, bytes] = {}
        walk(self._reader.connection, schema.meta, lambda row: self._check_setting(row, found))
        missing = [name for name in (schema.META_SCHEMA, schema.META_NODE) if name not in found]
        if missing:
            raise Found(Fault("meta", len(found) + 1, "name", Gap.code, f"the setting {missing[0]!r} is missing"))
        self._node = found[schema.META_NODE]

    def _check_setting(self, row: AnyRow, found: dict[str, bytes]) -> None:
        names = (schema.META_SCHEMA, schema.META_NODE)
        demand(row.position <= len(names), "name", "surplus", "no such setting is written")
        demand_equal("name", row.name, names[row.position - 1], "its position")
        if row.name == schema.META_SCHEMA:
            newest = cbor.encode(schema.SCHEMA_VERSION)
            demand(row.value == newest, "value", "unknown_schema", f"not {schema.SCHEMA_VERSION}: {_MIGRATE}")
        else:
            demand(len(row.value) == NODE_BYTES, "value", "malformed", f"a key has {NODE_BYTES} bytes")
            demand(self._first_node() in (None, row.value), "value", "foreign", "the first entry has another key")
        found[row.name] = row.value

    def _first_node(self) -> bytes | None:
        """Whose signature the first entry truly carries; None when that does not hold either, and is named later."""
        for _, row in numbered(self._reader.connection, schema.entry):
            try:
                self._arrival = schema.NO_ARRIVAL
                self._check_arrival(row, _entry_fields(row))
                entry = Entry.parse(row.payload)
                verify1(entry.node, entry.payload, row.signature, AAD_ENTRY)
            except (LedgerError, Broken):
                return None
            return entry.node
        return None

    def _check_message(self, row: AnyRow) -> None:
        demand(row.kind in MessageKind.__members__.values(), "kind", "malformed", f"kind {row.kind} is not known")
        demand_equal("hash", row.hash, hashlib.sha256(row.payload).digest(), "the payload")
        message = SignedMessage(MessageKind(row.kind), row.signer, row.payload, row.signature)
        _blame("signature", message.check)
        _blame("request_id", message.check_request, row.request_id)
        fields = (row.position, row.kind, row.signer, row.payload, row.signature, row.request_id)
        self._check_arrival(row, fields)
        self._held[row.hash] = row.request_id
        self.messages += 1

    def _check_entries(self) -> None:
        with SignatureChecks() as signatures:
            self._signatures = signatures
            try:
                walk(self._reader.connection, schema.entry, self._check_entry)
            except Found:
                signatures.finish()  # one that does not hold is of this row, or of one before it
                raise
            signatures.finish()

    def _check_entry(self, row: AnyRow) -> None:
        entry = _parse(row.payload)
        _check_columns(row, entry)
        signed = SignedEntry(entry, row.signature, row.salt or b"", row.body or b"", row.request_id)
        keys = self._keys_of(entry.node)
        if entry.type is EntryType.KEY:  # its body says whose signature it needs
            _blame("body", check_body, signed)
        _blame("signature", self._check_signature, row.position, signed, keys)
        if not _is_dropped(row):
            _blame("body", check_body, signed)
        _blame("payload", self._check_chain, signed, keys)
        if entry.type is EntryType.KEY:
            _blame("body", self._learn, keys, signed)
        _blame("payload", chain.check_answers, signed, self._held.get(entry.answers))
        if entry.node == self._node:
            _blame("body", self._proofs.take, signed)
        self._check_arrival(row, _entry_fields(row))
        self._held[entry.hash] = row.request_id
        self._places[entry.node, entry.epoch, entry.seq] = entry.hash, entry.prev
        self.entries += 1
        stored = StoredEntry(row.position, entry.node == self._node, signed)
        self._pruned.take(stored, self.postings.posted)
        self.postings.take(stored)

    def _check_signature(self, position: int, signed: SignedEntry, keys: KeyHistory) -> None:
        key = keys.signer_of(signed, ours=signed.entry.node == self._node)
        self._signatures.ask(position, key, signed.entry.payload, signed.signature)

    def _check_chain(self, signed: SignedEntry, keys: KeyHistory) -> None:
        entry = signed.entry
        demand(entry.hash not in self._held, "hash", "duplicate", "the same entry stands in an earlier row")
        if entry.node != self._node and self._own.head is None:
            raise Gap("our own genesis entry comes first")
        if entry.node != self._node or not self._own.take(signed, keys):
            self._check_neighbours(entry)
        place = entry.node, entry.epoch, entry.seq
        demand(place not in self._places, "payload", "fork", "an earlier row holds another entry for this place")

    def _keys_of(self, node: bytes) -> KeyHistory:
        """As far as the rows before say."""
        return self._keys.get(node) or KeyHistory(node)

    def _learn(self, keys: KeyHistory, signed: SignedEntry) -> None:
        self._keys[keys.node] = keys.with_entry(signed)

    def _check_neighbours(self, entry: Entry) -> None:
        before = self._places.get((entry.node, entry.epoch, entry.seq - 1))
        after = self._places.get((entry.node, entry.epoch, entry.seq + 1))
        chain.check_fit(entry, before=before and before[0], after=after and after[1])

    def _check_arrival(self, row: AnyRow, fields: tuple[int | bytes | None, ...]) -> None:
        self._arrival = schema.arrival(self._arrival, *fields)
        demand_equal("arrival", row.arrival, self._arrival, "this row and the ones before it")

    def _check_file(self) -> None:
        """What no row shows: SQLite's mark of the version, its own view of pages and indexes. A server has neither."""
        if self._reader.connection.dialect.name != "sqlite":
            return
        try:
            version = self._reader.connection.exec_driver_sql("PRAGMA user_version").scalar()
            state = self._reader.connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        except DATABASE_ERRORS as error:
            raise Found(Fault("database", 0, "", "corrupt", f"can't be read: {error}")) from error
        if version != schema.SCHEMA_VERSION:
            raise Found(Fault("database", 0, "user_version", "unknown_schema", f"schema {version} is not known"))
        if state != "ok":
            raise Found(Fault("database", 0, "", "corrupt", str(state)))


def _blame(column: str, check: Callable[..., None], *values: object) -> None:
    """Run `check` on them; what it raises is a fault of `column`."""
    try:
        check(*values)
    except LedgerError as error:
        raise Broken(column, error.code, str(error)) from error


def _parse(payload: bytes) -> Entry:
    try:
        return Entry.parse(payload)
    except LedgerError as error:
        raise Broken("payload", error.code, str(error)) from error


def _check_columns(row: AnyRow, entry: Entry) -> None:
    stored = row.node, row.epoch, row.seq, row.hash, row.type
    derived = entry.node, entry.epoch, entry.seq, entry.hash, int(entry.type)
    if stored != derived:
        for name, was, is_ in zip(("node", "epoch", "seq", "hash", "type"), stored, derived, strict=True):
            demand_equal(name, was, is_, "the payload")


def _is_dropped(row: AnyRow) -> bool:
    """Both together, of an entry of a trade: whether they may be missing, `audit_pruned` says."""
    return row.salt is None and row.body is None and row.request_id is not None


def _entry_fields(row: AnyRow) -> tuple[int | bytes | None, ...]:
    return row.position, row.payload, row.signature, row.request_id
