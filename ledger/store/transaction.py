"""What can be written. All steps of one transaction are durable together, or none is.

An appended entry, its postings, its outbox row and its locks belong into one transaction; only when that has
returned may anything be told to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from sqlalchemy import Connection, bindparam, delete, func, null, select, union_all, update

from ledger import chain
from ledger.accounts import Posting
from ledger.cbor import INT_MAX, INT_MIN
from ledger.entry import (
    EPOCH_BYTES,
    NO_HASH,
    REQUEST_ID_BYTES,
    SALT_BYTES,
    Entry,
    EntryType,
    SignedEntry,
    commit,
    sign_entry,
    trade_salt,
)
from ledger.errors import BeyondHead, Closed, Full, KeyMissing, Misuse, RemoteLedgerError, StoreFailed
from ledger.keys.bodies import Place
from ledger.message import MessageKind, SignedMessage
from ledger.signing import PUBLIC_BYTES, Signer
from ledger.store import schema
from ledger.store.known import Known, Newest
from ledger.store.statements import AnyTuple, Prepared, Values, insert_into
from ledger.store.view import Lock, StoredEntry, View

Entropy: TypeAlias = Callable[[int], bytes]
"""That many unpredictable bytes; `os.urandom`, except in a simulation."""

MAX_OUTBOX: Final = 1_000
"""Unacknowledged entries, all peers together. A trade waits for each answer, so that a few a peer are usual."""

MAX_LOCKS: Final = 1_000
"""One trade locks a connector, a window and some energy; a coordinator holds hundreds at a time."""

MAX_DOCUMENT_BYTES: Final = 64 * 1024
"""A document is small working state, rewritten whole."""

MAX_NAME_CHARS: Final = 64

_E, _M, _P, _O = schema.entry.c, schema.message.c, schema.posting.c, schema.outbox.c
_LAST_ENTRY: Final = Prepared(select(_E.position, _E.arrival).order_by(_E.position.desc()).limit(1))
_LAST_MESSAGE: Final = Prepared(select(_M.position, _M.arrival).order_by(_M.position.desc()).limit(1))
_LAST_POSTING: Final = Prepared(select(_P.position).order_by(_P.position.desc()).limit(1))
_NEWEST: Final = Prepared(
    select(_E.seq, _E.hash)
    .where(_E.node == bindparam("node"), _E.epoch == bindparam("epoch"))
    .order_by(_E.seq.desc())
    .limit(1)
)
_OF_TRADE: Final = Prepared(
    union_all(*(select(c.request_id).where(c.hash == bindparam("hash")) for c in (_E, _M))),
)
_KEEP_ENTRY: Final = insert_into(schema.entry)
_DROP_BODIES: Final = Prepared(
    update(schema.entry).where(_E.request_id == bindparam("request_id")).values(salt=null(), body=null())
)
_KEEP_MESSAGE: Final = insert_into(schema.message)
_POST: Final = insert_into(schema.posting)
_SAY: Final = insert_into(schema.outbox)
_SAID: Final = Prepared(delete(schema.outbox).where(_O.entry_hash == bindparam("hash")))
_SAID_TO: Final = Prepared(
    delete(schema.outbox).where(_O.entry_hash == bindparam("hash"), _O.peer == bindparam("peer"))
)
_WAITS: Final = Prepared(select(_O.id).where(_O.peer == bindparam("peer"), _O.entry_hash == bindparam("hash")))
_WAITING: Final = Prepared(select(func.count()).select_from(schema.outbox))
_LOCK: Final = insert_into(schema.lock)
_LOCKS: Final = Prepared(select(func.count()).select_from(schema.lock))
_UNLOCK: Final = Prepared(delete(schema.lock).where(schema.lock.c.request_id == bindparam("request_id")))
_UNLOCK_ONE: Final = Prepared(
    delete(schema.lock).where(
        schema.lock.c.request_id == bindparam("request_id"), schema.lock.c.resource == bindparam("resource")
    )
)
_PUT: Final = insert_into(schema.document)
_DROP: Final = Prepared(delete(schema.document).where(schema.document.c.name == bindparam("name")))


class Transaction(View):
    """Given to the function that `Ledger.transact` runs; it raises Closed afterwards.

    A step that raises has changed nothing, and the rest may go on (a fork seen, a peer's entry refused), except
    after StoreFailed: then nothing of the transaction is kept.
    """

    def __init__(
        self, connection: Connection, node: bytes, signers: dict[bytes, Signer], entropy: Entropy, known: Known
    ) -> None:
        super().__init__(connection, node, known.keys)
        self._signers = signers
        self._entropy = entropy
        self._remembered = known
        self._complete = True

    @property
    def signer(self) -> Signer:
        """The key that signs now: for notes whose entry is appended in the same transaction. Raises KeyMissing."""
        signer = self._signers.get(self.keys_of(self.node).current)
        if signer is None:
            raise KeyMissing("the key that signs for this node now is not here")
        return signer

    def add_signer(self, signer: Signer) -> None:
        """This key is ours too. It signs from the KEY entry on that says so."""
        self._signers[signer.public] = signer

    def check_complete(self) -> None:
        """Raises StoreFailed when a statement failed, whatever the caller made of that: half a step is not kept."""
        if not self._complete:
            raise StoreFailed("a statement of this transaction failed; all of it is rolled back")

    def end(self) -> None:
        """From here on every use raises Closed."""
        self._live = None

    def rows(self, statement: Prepared, **values: object) -> Sequence[AnyTuple]:
        """See `View.rows`."""
        return self._ask(statement, values)

    def write(self, statement: Prepared, **values: object) -> None:
        """Change something. Raises StoreFailed; nothing of the transaction is kept then."""
        self._ask(statement, values)

    def head(self) -> StoredEntry | None:
        """The newest entry of our own chain."""
        if self._known.head is None:
            self._known.head = super().head()
        return self._known.head

    def append(
        self, type: EntryType, body: bytes, *, answers: bytes = b"", request_id: bytes | None = None
    ) -> SignedEntry:
        """Sign the next entry of our own chain. `request_id` goes with the types of a trade, and only with them.

        Raises Misuse for what the rules forbid, Unbalanced, Full, or what the posting rule raises.
        """
        head = self.head()
        if head is None:
            raise Misuse("the chain has no genesis entry yet")
        place = Place(self.node, head.entry.epoch, head.entry.seq + 1, head.hash)
        return self._append(self.signer, place, head.entry, type, body, answers, request_id)

    def append_genesis(self, body: bytes) -> SignedEntry:
        """Sign the first entry of our own chain: KEY, in a random epoch. Raises Misuse when there is one."""
        if self.head() is not None:
            raise Misuse("the chain has its genesis entry already")
        place = Place(self.node, self.new_epoch(), 0, NO_HASH)
        return self._append(self.signer, place, None, EntryType.KEY, body, b"", None)

    def new_epoch(self) -> bytes:
        """A name that no epoch has had."""
        return self._entropy(EPOCH_BYTES)

    def append_start(self, epoch: bytes, body: bytes, signer: Signer) -> SignedEntry:
        """Sign a KEY entry that starts a new epoch behind our head. Raises Misuse."""
        head = self.head()
        if head is None:
            raise Misuse("the chain has no genesis entry yet")
        place = Place(self.node, epoch, 0, head.hash)
        return self._append(signer, place, head.entry, EntryType.KEY, body, b"", None)

    def receive(self, signed: SignedEntry, *, adopting: bool = False) -> bool:
        """Keep a peer's entry. False when it is held already: nothing is changed then.

        Messages and entries that it answers are kept first, and its node's KEY entries. adopting: an entry of ours
        that a peer shows and that we lost is kept too, if its epoch has ended (see `adoption`).

        Raises BeyondHead (our own, and not held), Fork, BrokenChain, Unanswered, Revoked, what `SignedEntry.check`
        raises, or what the posting rule raises.
        """
        entry = signed.entry
        newest = self._newest(entry.node, entry.epoch)
        if entry.seq == newest.seq + 1 and entry.node != self.node:
            signed.check(self.keys_of(entry.node).signer_of(signed))
            chain.check_neighbours(signed, same=None, before=newest.hash or None, after=None)
        elif self._holds_already(signed, adopting):
            return False
        chain.check_answers(signed, self._answered(entry.answers))
        self._keep_entry(signed)
        return True

    def keep_message(
        self, kind: MessageKind, signer: bytes, payload: bytes, signature: bytes, request_id: bytes
    ) -> bool:
        """Keep a signed request, offer or counter with its trade. False when it is held already.

        Raises Malformed (also when it does not carry `request_id`) or BadSignature.
        """
        message = SignedMessage(kind, signer, payload, signature)
        message.check()
        message.check_request(request_id)
        if self.message(message.hash) is not None:
            return False
        position, before = self._next(_LAST_MESSAGE)
        fields = (position, int(kind), signer, payload, signature, request_id)
        arrival = schema.arrival(before, *fields)
        self.write(
            _KEEP_MESSAGE,
            position=position,
            hash=message.hash,
            kind=int(kind),
            signer=signer,
            payload=payload,
            signature=signature,
            request_id=request_id,
            arrival=arrival,
        )
        self._known.tails[_LAST_MESSAGE] = position, arrival
        self._known.trades.put(message.hash, (request_id,))
        return True

    def outbox_add(self, peer: bytes, signed: SignedEntry) -> None:
        """Remember that `peer` (a public key) has to acknowledge `signed`, which is held. Twice is once."""
        _demand(len(peer) == PUBLIC_BYTES, "a peer is named by its public key")
        if self.first(_WAITS, peer=peer, hash=signed.hash) is not None:
            return
        self._demand_room(_WAITING, "outbox", MAX_OUTBOX)
        self.write(_SAY, peer=peer, request_id=signed.request_id, entry_hash=signed.hash)

    def outbox_done(self, entry_hash: bytes, *, peer: bytes | None = None) -> None:
        """It was acknowledged, by `peer` or by whoever it waits for; forget it. Nothing happens when it was not
        waiting."""
        if peer is None:
            self.write(_SAID, hash=entry_hash)
        else:
            self.write(_SAID_TO, hash=entry_hash, peer=peer)

    def lock(self, request_id: bytes, resource: str, quantity: int, from_ms: int, until_ms: int) -> None:
        """Hold `quantity` of `resource` for a trade; a second lock of the same two replaces the first.

        Whether there is enough left is the caller's to ask (`locks`), in the same transaction.
        """
        _demand(len(request_id) == REQUEST_ID_BYTES, f"a request id has {REQUEST_ID_BYTES} bytes")
        _demand(1 <= len(resource) <= MAX_NAME_CHARS, f"a resource's name has 1 to {MAX_NAME_CHARS} characters")
        _demand(0 <= quantity <= INT_MAX, "a quantity is from 0 to 2^63-1")
        _demand(INT_MIN <= from_ms < until_ms <= INT_MAX, "a lock ends after it begins")
        self.write(_UNLOCK_ONE, request_id=request_id, resource=resource)
        self._demand_room(_LOCKS, "lock", MAX_LOCKS)
        # fmt: off
        self.write(_LOCK, request_id=request_id, resource=resource, quantity=quantity, from_ms=from_ms,
                   until_ms=until_ms)
        # fmt: on

    def unlock(self, request_id: bytes) -> Sequence[Lock]:
        """Release all that a trade holds; what it was."""
        released = [lock for lock in self.locks() if lock.request_id == request_id]
        self.write(_UNLOCK, request_id=request_id)
        return released

    def drop_bodies(self, request_id: bytes) -> None:
        """Drop salt and body of all entries of a trade, for ever. Whether that is allowed is the caller's to know:
        `audit` accepts it only before a Net of both (`audit_pruned`)."""
        self.write(_DROP_BODIES, request_id=request_id)
        self._known.forget()

    def put(self, name: str, value: bytes) -> None:
        """Keep a document under `name`, in place of the one before."""
        _demand(1 <= len(name) <= MAX_NAME_CHARS, f"a document's name has 1 to {MAX_NAME_CHARS} characters")
        _demand(len(value) <= MAX_DOCUMENT_BYTES, f"a document has {MAX_DOCUMENT_BYTES} bytes at most")
        self.write(_DROP, name=name)
        self.write(_PUT, name=name, value=value)

    def drop(self, name: str) -> None:
        """Forget the document under `name`, if there is one."""
        self.write(_DROP, name=name)

    def _append(
        self,
        signer: Signer,
        place: Place,
        head: Entry | None,
        type: EntryType,
        body: bytes,
        answers: bytes,
        request_id: bytes | None,
    ) -> SignedEntry:
        salt = self._entropy(SALT_BYTES) if request_id is None else trade_salt(request_id, place.epoch, place.seq)
        try:
            entry = place.entry(type, answers, commit(salt, body))
            chain.check_link(head, entry)
            signed = sign_entry(signer, entry, salt=salt, body=body, request_id=request_id)
            chain.check_answers(signed, self._answered(answers))
            if type is EntryType.KEY:
                self.keys_of(self.node).with_entry(signed)
        except RemoteLedgerError as error:  # the rules are the same for us, the fault is the caller's
            raise Misuse(str(error)) from error
        self._known.head = self._keep_entry(signed)
        return signed

    def _ask(self, statement: Prepared, values: Values) -> Sequence[AnyTuple]:
        self.check_complete()  # the database may have rolled back already, and would commit what comes now by itself
        try:
            return statement.run(self._connection, values)
        except StoreFailed:
            self._complete = False
            raise

    @property
    def _known(self) -> Known:
        if self._live is None:
            raise Closed("the transaction is over")
        return self._remembered

    def _holds_already(self, signed: SignedEntry, adopting: bool) -> bool:
        """Whether an entry is held, or else whether it fits between those that are. Its signature is checked."""
        entry, keys = signed.entry, self.keys_of(signed.entry.node)
        same = self.entry_at(entry.node, entry.epoch, entry.seq)
        if same is not None and same.hash == signed.hash:
            signed.check(keys.key_at(entry.epoch, entry.seq))
            return True
        signed.check(keys.signer_of(signed, ours=entry.node == self.node))
        if entry.node == self.node and same is None:
            if not adopting:
                raise BeyondHead(f"our own entry {entry.seq} is not in this database: it is an older copy")
            chain.check_adopted(entry, keys)
        after = self.entry_at(entry.node, entry.epoch, entry.seq + 1) if entry.seq < INT_MAX else None
        chain.check_neighbours(
            signed,
            same=None if same is None else same.signed,
            before=self.hash_at(entry.node, entry.epoch, entry.seq - 1) if entry.seq > 0 else None,
            after=None if after is None else after.entry.prev,
        )
        return False

    def _keep_entry(self, signed: SignedEntry) -> StoredEntry:
        entry = signed.entry
        keys = self.keys_of(entry.node).with_entry(signed) if entry.type is EntryType.KEY else None
        position, before = self._next(_LAST_ENTRY)
        stored = StoredEntry(position, entry.node == self.node, signed)
        # asked before anything is written: a refusal leaves nothing, even when the caller goes on
        postings = self._known.histories.postings(stored, self)
        fields = (position, entry.payload, signed.signature, signed.request_id)
        arrival = schema.arrival(before, *fields)
        newest = self._newest(entry.node, entry.epoch)
        self.write(
            _KEEP_ENTRY,
            position=position,
            node=entry.node,
            epoch=entry.epoch,
            seq=entry.seq,
            type=int(entry.type),
            hash=entry.hash,
            payload=entry.payload,
            signature=signed.signature,
            request_id=signed.request_id,
            salt=signed.salt,
            body=signed.body,
            arrival=arrival,
        )
        self._known.tails[_LAST_ENTRY] = position, arrival
        self._known.trades.put(entry.hash, (signed.request_id,))
        if entry.seq > newest.seq:
            self._known.newest.put((entry.node, entry.epoch), Newest(entry.seq, entry.hash))
        self._post(entry.hash, postings)
        if keys is not None:
            self._key_book.learn(keys)
        return stored

    def _post(self, entry_hash: bytes, postings: Sequence[Posting]) -> None:
        last, _ = self._tail(_LAST_POSTING)
        rows = [
            {
                "position": last + line + 1,
                "entry_hash": entry_hash,
                "line": line,
                "account": posting.account,
                "currency": posting.currency,
                "amount_micro": posting.amount_micro,
                "state": str(posting.state),
            }
            for line, posting in enumerate(postings)
        ]
        for row in rows:
            self.write(_POST, **row)
        self._known.tails[_LAST_POSTING] = last + len(rows), b""

    def _answered(self, answers: bytes) -> bytes | None:
        """The request id under which what is answered is held."""
        if not answers:
            return None
        known = self._known.trades.get(answers) or self.first(_OF_TRADE, hash=answers)
        return None if known is None else known[0]

    def _newest(self, node: bytes, epoch: bytes) -> Newest:
        known = self._known.newest.get((node, epoch))
        if known is None:
            row = self.first(_NEWEST, node=node, epoch=epoch)
            known = Newest(-1, b"") if row is None else Newest(*row)
            self._known.newest.put((node, epoch), known)
        return known

    def _next(self, last: Prepared) -> tuple[int, bytes]:
        """The position of the next row, and the running hash that it continues."""
        position, arrival = self._tail(last)
        return position + 1, arrival

    def _tail(self, last: Prepared) -> tuple[int, bytes]:
        known = self._known.tails.get(last)
        if known is None:
            row = self.first(last)
            known = (0, schema.NO_ARRIVAL) if row is None else (row[0], row[-1])
            self._known.tails[last] = known
        return known

    def _demand_room(self, count: Prepared, table: str, limit: int) -> None:
        if self.rows(count)[0][0] >= limit:
            raise Full(f"{table} is full: {limit} rows")


def _demand(condition: bool, sentence: str) -> None:
    if not condition:
        raise Misuse(sentence)
