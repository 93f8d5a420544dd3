"""The ledger as trading uses it: every step of a session is one durable commit, made by the one writer thread."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ledger.entry import EntryType, SignedEntry
from ledger.errors import Fork, Full, LedgerError, Malformed, RemoteLedgerError
from ledger.store.transaction import Transaction
from ledger.store.view import Lock, StoredEntry, View
from ledger.witnessing.fork import fork_of_entries
from ledger.witnessing.forks import keep_fork
from market.errors import Reason, Refusal
from market.machine import stamped
from market.terms import Confirm, EntryBody, Reject, Void
from v2xnode.clock import Clock
from v2xnode.envelope import Letter, Link, body_of, message_of
from v2xnode.errors import LocalError, PeerError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to an Accept, and what a Confirm locks. refusal: why not, for the owner."""

    answer: Confirm | Reject
    locks: tuple[Lock, ...] = ()
    refusal: Refusal | None = None


Check = Callable[[View], Verdict]
"""Decides an Accept inside the commit, so that the same Wh are never confirmed twice."""


class Submits(Protocol):
    """What takes transactions in order: the ledger's writer thread."""

    def submit(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """See `ledger.store.writer.Writer.submit`."""
        ...


TOLD_OUTSIDE = frozenset({EntryType.NET, EntryType.PAY, EntryType.RESOLVE})
"""Entries that are told outside of sessions, also long after one."""
LAST_WORDS = frozenset({EntryType.VOID, EntryType.CLOSE, EntryType.CLOSED})
"""Entries that end a session."""


class LedgerRefused(LocalError):
    """Our own ledger could not take an entry: disk, limits, or a rule that we broke. Nothing was told to anybody."""

    code = "ledger_fault"


class Books:
    """Asynchronous, in order, durable. Raises LedgerRefused for our faults and PeerError for the peer's."""

    def __init__(self, writer: Submits, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """One transaction; asyncio goes on meanwhile."""
        try:
            return await asyncio.wrap_future(self._writer.submit(work))
        except RemoteLedgerError as problem:
            raise PeerError(str(problem), code=problem.code) from None
        except LedgerError as problem:
            raise LedgerRefused(str(problem), code=problem.code) from None
        except ValueError as problem:  # the posting rule refuses what we would sign
            raise LedgerRefused(str(problem)) from None

    async def append(
        self,
        peer: bytes,
        request_id: bytes,
        message: EntryBody,
        answers: bytes,
        *,
        letters: Sequence[Letter] = (),
        locks: Sequence[Lock] = (),
        unlock: bool = False,
        asked: bool = False,
    ) -> Link:
        """Append an entry of ours, with the signed messages that it rests on and what it locks or frees, and put it
        into the outbox.

        asked: it is the one answer to a question that the peer repeats until it has it, so that the outbox need not.
        A Void takes the place of all that was said before in its session.
        """
        stamp_ms = self._clock.wall_ms()

        def work(transaction: Transaction) -> Link:
            _keep(transaction, request_id, letters)
            if isinstance(message, Void):
                _say_no_more(transaction, request_id)
            if unlock:
                transaction.unlock(request_id)
            for lock in locks:
                _lock(transaction, lock)
            entry = _append(transaction, request_id, stamped(message, stamp_ms), answers)
            if not asked:
                _remember(transaction, peer, entry)
            return entry

        return await self.run(work)

    async def receive(self, item: Link, letters: Sequence[Letter] = ()) -> bool:
        """Keep a peer's entry; False when it is held already. What it answers leaves the outbox, and what was locked
        for an Accept that it rejects is free. A second entry for a place is refused, and the proof of that is kept."""
        request_id = item.signed.request_id or b""

        def work(transaction: Transaction) -> bool | Fork:
            _keep(transaction, request_id, letters)
            try:
                kept = transaction.receive(item.signed)
            except ValueError as problem:  # the posting rule refuses what the peer signed
                raise Malformed(str(problem)) from None
            except Fork as fork:
                keep_fork(transaction, fork_of_entries(fork.held, fork.shown))
                return fork
            transaction.outbox_done(item.signed.entry.answers)
            if isinstance(item.message, Reject):
                transaction.unlock(request_id)
            return kept

        kept = await self.run(work)
        if isinstance(kept, Fork):
            raise PeerError(str(kept), code=kept.code)
        return kept

    async def decide(self, request_id: bytes, accept: bytes, check: Check) -> tuple[Link, Verdict]:
        """Append Confirm with its locks, or Reject, answering an Accept that is held: one commit with the check.

        The check runs in the writer's thread: it reads, and tells nobody.
        """
        stamp_ms = self._clock.wall_ms()

        def work(transaction: Transaction) -> tuple[Link, Verdict]:
            verdict = check(transaction)
            for lock in verdict.locks:
                _lock(transaction, lock)
            return _append(transaction, request_id, stamped(verdict.answer, stamp_ms), accept), verdict

        return await self.run(work)

    async def acknowledged(self, digests: Iterable[bytes]) -> None:
        """The peer has these entries of ours."""
        hashes = list(digests)

        def work(transaction: Transaction) -> None:
            for digest in hashes:
                transaction.outbox_done(digest)

        if hashes:
            await self.run(work)

    async def reply_to(self, digest: bytes, request_id: bytes) -> Sequence[Link]:
        """Our stored entries that answer this one, for a peer that did not get them: one, or a Confirm and its Void."""

        def work(transaction: Transaction) -> Sequence[SignedEntry]:
            entries = transaction.entries(request_id)
            return [each.signed for each in entries if each.own and each.entry.answers == digest]

        return [Link(message_of(signed), signed) for signed in await self.run(work)]

    async def latch_stop(self, request_id: bytes, reason: Reason) -> None:
        """Make durable that a session is stopped for good: only its settlement is left."""
        await self.run(lambda transaction: transaction.put(_stopped(request_id), reason.code.encode()))

    async def end(self, request_id: bytes, *, answered: bool) -> None:
        """A session is over: what it has locked is free. answered: nothing of it has to be said any more, except for
        our own last word where the session ended with that."""

        def work(transaction: Transaction) -> None:
            transaction.unlock(request_id)
            transaction.drop(_stopped(request_id))
            if answered:
                _say_no_more(transaction, request_id, but=_own_last_word(transaction, request_id))

        await self.run(work)

    async def forget_unsaid(self, request_id: bytes) -> None:
        """The peer does not know this session: there is nobody to tell."""
        await self.run(lambda transaction: _say_no_more(transaction, request_id))

    async def heads(self, peer: bytes | None) -> tuple[bytes, StoredEntry | None]:
        """The epoch of our own chain, and the newest entry of a peer's that we hold."""

        def work(transaction: Transaction) -> tuple[bytes, StoredEntry | None]:
            head = transaction.head()
            newest = transaction.newest_of(peer) if peer else None
            held = transaction.entry_at(peer, *newest) if peer and newest else None
            return head.entry.epoch if head else b"", held

        return await self.run(work)

    async def put(self, name: str, value: bytes) -> None:
        """Keep a small document."""
        await self.run(lambda transaction: transaction.put(name, value))

    async def get(self, name: str) -> bytes | None:
        return await self.run(lambda transaction: transaction.get(name))


def is_told_outside(signed: SignedEntry) -> bool:
    """Whether an entry is told outside of sessions."""
    return signed.entry.type in TOLD_OUTSIDE


def stop_reason(view: View, request_id: bytes) -> Reason | None:
    """Why a session was stopped for good; None where it was not, or where a damaged document does not tell."""
    code = view.get(_stopped(request_id))
    return None if code is None else next((each for each in Reason if each.code.encode() == code), Reason.SHUTDOWN)


def _stopped(request_id: bytes) -> str:
    return f"stopped:{request_id.hex()}"


def _keep(transaction: Transaction, request_id: bytes, letters: Sequence[Letter]) -> None:
    for letter in letters:
        said = letter.signed
        transaction.keep_message(said.kind, said.signer, said.payload, said.signature, request_id)


def _append(transaction: Transaction, request_id: bytes, message: EntryBody, answers: bytes) -> Link:
    kind, body = body_of(message)
    return Link(message, transaction.append(kind, body, answers=answers, request_id=request_id))


def _lock(transaction: Transaction, lock: Lock) -> None:
    transaction.lock(lock.request_id, lock.resource, lock.quantity, lock.from_ms, lock.until_ms)


def _say_no_more(transaction: Transaction, request_id: bytes, *, but: bytes = b"") -> None:
    """Nothing of a session has to be said any more, or only this entry."""
    for each in transaction.outbox():
        if each.signed.request_id == request_id and each.signed.hash != but and not is_told_outside(each.signed):
            transaction.outbox_done(each.signed.hash)


def _own_last_word(transaction: Transaction, request_id: bytes) -> bytes:
    """Hash of the entry that ended the session, if it is ours; what the peer wrote before it heard of that may have
    come after it."""
    last = [each for each in transaction.entries(request_id) if each.type in LAST_WORDS][-1:]
    return last[0].hash if last and last[0].own else b""


def _remember(transaction: Transaction, peer: bytes, entry: Link) -> None:
    """Into the outbox. When that is full of what peers left unanswered, the oldest of it is given up: peers that went
    away must not keep this node from writing."""
    try:
        transaction.outbox_add(peer, entry.signed)
    except Full:
        transaction.outbox_done(transaction.outbox()[0].signed.hash)
        transaction.outbox_add(peer, entry.signed)
