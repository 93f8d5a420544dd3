"""What peers remember of our chain, and we of theirs, and whose keys are whose: `links.recalling` over the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import Foreign, LedgerError, TooLarge
from ledger.keys.key_history import KeyHistory
from ledger.message import MessageKind, SignedMessage
from ledger.own.adoption import MAX_SHOWN, Adopted, KeptMessage, adopt, shows_ours
from ledger.own.key_changes import open_epoch
from ledger.own.memory import Claim, Held, misses, own_keys, shown_to
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from market.terms import EPOCH_HINT_BYTES, Hello, Recall, Recalled, Shown
from v2xnode.clock import Clock
from v2xnode.envelope import MAX_ITEMS, Place, Plain, fitting
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.links.recalling import Introduced
from v2xnode.trading.books import Books, LedgerRefused

CLAIM_MS = 24 * 3_600_000
"""World time between two epochs that are begun on a peer's word alone: a liar costs an entry a day, no more."""

MAX_STRANGERS_KEYS = 10_000
"""KEY entries held when one more node is learnt that never traded: 5 MB. A key costs nothing, and none is forgotten."""
MAX_STRANGER_KEYS = 64
"""Of one node that never traded: years of rotations and restores."""


@dataclass(slots=True)
class Recollection:
    """Over one node's books."""

    books: Books
    clock: Clock
    events: EventLog
    _claimed_ms: int | None = None

    async def key_of(self, node: bytes) -> bytes:
        """See `links.recalling.Chains`."""
        return await self.books.run(lambda transaction: transaction.keys_of(node).current) or node

    async def introduced(self, key: bytes, hello: Hello) -> Introduced:
        """See `links.recalling.Chains`. A key that was rotated, or given up, opens no link any more."""
        node = hello.node or key
        if hello.node == key:
            raise PeerError("A genesis key needs no other name.", code="malformed")
        keys, held = await self.books.run(lambda view: (view.keys_of(node), len(view.key_entries(node))))
        if not keys.known and node == key:
            return Introduced(keys)
        if keys.current == key and keys.has(hello.epoch):
            return Introduced(keys)
        if keys.known and keys.signed(key) and keys.current != key:
            raise PeerError(f"{short(node)} has given up this key.", code="key_given_up")
        return Introduced(keys, Recall(bytes(EPOCH_HINT_BYTES), 0, held, keys=True))

    async def learn(self, node: bytes, key: bytes, shown: Sequence[Shown]) -> KeyHistory:
        """See `links.recalling.Chains`."""

        def work(transaction: Transaction) -> KeyHistory:
            for each in shown:
                signed = _signed(each)
                if not isinstance(signed, SignedEntry) or signed.entry.node != node:
                    raise Foreign("a node shows the KEY entries of its own chain")
                transaction.receive(signed)
            _check_room(transaction, node)
            keys = transaction.keys_of(node)
            if keys.current != key:
                raise Foreign("the keys that were shown do not lead to the one of this link")
            return keys

        return await self.books.run(work)

    async def missing(self, place: Place) -> Recall | None:
        """See `links.recalling.Chains`."""
        lost = await self.books.run(lambda transaction: misses(transaction, Claim(*place)))
        return None if lost is None else Recall(lost.epoch_begins, lost.seq)

    async def claimed(self, peer: bytes) -> None:
        """Begin an epoch, so that nothing is signed for a place that may be taken while the peer has still to prove it.

        What it shows later opens no further one. At most one in `CLAIM_MS` is begun on a claim.
        """
        now_ms = self.clock.monotonic_ms()
        if self._claimed_ms is not None and now_ms - self._claimed_ms < CLAIM_MS:
            return
        before, self._claimed_ms = self._claimed_ms, now_ms
        try:
            await self.books.run(open_epoch)
        except LedgerRefused:  # a full disk: the next claim has to begin it
            self._claimed_ms = before
            raise
        self.events.tell("epoch_begun", peer=short(peer), code="claimed")

    async def held(self, peer: bytes, recall: Recall) -> Sequence[Plain]:
        """See `links.recalling.Chains`."""
        lost = Claim(recall.epoch, recall.from_seq)

        def work(transaction: Transaction) -> tuple[list[tuple[int, Held]], bool]:
            if recall.keys:
                numbered = own_keys(transaction, after=recall.after)
            else:
                numbered = shown_to(transaction, peer, lost, after=recall.after)
            return list(islice(numbered, MAX_ITEMS - 1)), next(numbered, None) is not None

        found, more = await self.books.run(work)
        numbers = [number for number, _ in found]
        shown = [Plain(_shown(each)) for _, each in found]
        fit = len(fitting([Plain(Recalled(max(numbers, default=0))), *shown])) - 1
        going_on = numbers[fit - 1] if more or fit < len(shown) else 0
        return [Plain(Recalled(going_on)), *shown[:fit]]

    async def adopt(self, peer: bytes, shown: Sequence[Shown]) -> None:
        """See `links.recalling.Chains`."""
        try:
            things = [_signed(each) for each in shown]
        except LedgerError as problem:
            raise PeerError(f"The peer shows what is none of ours: {problem}", code=problem.code) from None
        parts = [things[at : at + MAX_SHOWN] for at in range(0, len(things), MAX_SHOWN)]

        def work(transaction: Transaction) -> list[Adopted]:
            if not shows_ours(transaction, things):
                raise Foreign("nothing is shown that we signed and do not hold")
            adopted = [adopt(transaction, part) for part in parts]
            if not any(part.ours or part.forks for part in adopted):
                raise Foreign("nothing is shown that we signed and do not hold")
            return adopted

        adopted = await self.books.run(work)
        ours, theirs = sum(len(part.ours) for part in adopted), sum(len(part.theirs) for part in adopted)
        self.events.tell("entries_adopted", peer=short(peer), ours=ours, theirs=theirs)
        for fork in [fork for part in adopted for fork in part.forks]:
            self.events.tell("signed_twice", peer=short(peer), sentence=str(fork))


def _check_room(view: View, node: bytes) -> None:
    """Raises TooLarge where a node has more keys than its trades are worth; then none of them is kept."""
    if view.has_traded(node):
        return
    if view.number_apart(EntryType.KEY, node) > MAX_STRANGER_KEYS:
        raise TooLarge(f"of a node that never traded {MAX_STRANGER_KEYS} KEY entries are kept")
    if view.number_apart(EntryType.KEY) > MAX_STRANGERS_KEYS:
        raise TooLarge(f"{MAX_STRANGERS_KEYS} KEY entries are held, and this node never traded")


def shown(signed: SignedEntry) -> Shown:
    """An entry with nothing left out."""
    return Shown(signed.entry.payload, signed.signature, signed.request_id or b"", signed.salt, signed.body)


def _shown(held: Held) -> Shown:
    if isinstance(held, StoredEntry):
        return shown(held.signed)
    said = held.message
    return Shown(said.payload, said.signature, held.request_id, kind=int(said.kind), signer=said.signer)


def _signed(shown: Shown) -> SignedEntry | KeptMessage:
    """Raises LedgerError."""
    if not shown.kind:
        entry = Entry.parse(shown.payload)
        return SignedEntry(entry, shown.signature, shown.salt, shown.body, shown.request_id or None)
    message = SignedMessage(MessageKind(shown.kind), shown.signer, shown.payload, shown.signature)
    return KeptMessage(message, shown.request_id)
