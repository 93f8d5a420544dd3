"""Two parties that trade for the benchmarks: how each writes, and one trade step by step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from ledger.entry import SignedEntry
from ledger.signing import Signer
from ledger.store.history import PostingRule
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from ledger.store.writer import Writer
from market.errors import Reason
from market.terms import Accept, Close, Closed, Confirm, EntryBody, Interval, Receipt
from tests.ledger.world import Chain
from tests.support.market_terms import offer, request
from v2xnode.envelope import Letter, body_of, sign_letter

AT_S = 1_768_415_520
AT_MS = AT_S * 1_000


class Side(Protocol):
    """One party's way to write."""

    @property
    def key(self) -> bytes: ...

    def append(self, message: EntryBody, answers: bytes, request_id: bytes) -> SignedEntry: ...

    def receive(self, entry: SignedEntry) -> None: ...

    def keep(self, letter: Letter, request_id: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Durable:
    """Each step is a commit."""

    ledger: Ledger

    @property
    def key(self) -> bytes:
        return self.ledger.node

    def append(self, message: EntryBody, answers: bytes, request_id: bytes) -> SignedEntry:
        return self.ledger.transact(lambda work: Batched(work).append(message, answers, request_id))

    def receive(self, entry: SignedEntry) -> None:
        self.ledger.transact(lambda work: Batched(work).receive(entry))

    def keep(self, letter: Letter, request_id: bytes) -> None:
        self.ledger.transact(lambda work: Batched(work).keep(letter, request_id))


@dataclass(frozen=True, slots=True)
class Batched:
    """All steps in one commit, to fill a ledger."""

    work: Transaction

    @property
    def key(self) -> bytes:
        return self.work.node

    def append(self, message: EntryBody, answers: bytes, request_id: bytes) -> SignedEntry:
        kind, body = body_of(message)
        return self.work.append(kind, body, answers=answers, request_id=request_id)

    def receive(self, entry: SignedEntry) -> None:
        self.work.receive(entry)

    def keep(self, letter: Letter, request_id: bytes) -> None:
        signed = letter.signed
        self.work.keep_message(signed.kind, signed.signer, signed.payload, signed.signature, request_id)


@dataclass(frozen=True, slots=True)
class Unkept:
    """Signs, and keeps nothing on disk."""

    chain: Chain

    @property
    def key(self) -> bytes:
        return self.chain.signer.public

    def append(self, message: EntryBody, answers: bytes, request_id: bytes) -> SignedEntry:
        kind, body = body_of(message)
        return self.chain.add(kind, body, answers, request_id)

    def receive(self, entry: SignedEntry) -> None:
        """Nothing to do."""

    def keep(self, letter: Letter, request_id: bytes) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class Play:
    """One trade between two sides, step by step."""

    provider: Side
    client: Side
    request_id: bytes
    last: bytes = b""

    def agree(self, provider: Signer, client: Signer) -> None:
        """Letters, Accept and Confirm."""
        asked = sign_letter(client, request(request_id=self.request_id, provider=self.provider.key))
        offered = sign_letter(provider, offer(request_id=self.request_id))
        for side in (self.provider, self.client):
            side.keep(asked, self.request_id)
            side.keep(offered, self.request_id)
        self.last = offered.digest
        self._by(self.client, Accept(self.provider.key, AT_S, "EUR"))
        self._by(self.provider, Confirm(self.client.key, AT_S))

    def pair(self, number: int) -> None:
        """An Interval and its Receipt."""
        said, answer = pair_of(self.provider.key, self.client.key, number)
        self._by(self.provider, said)
        self._by(self.client, answer)

    def close(self, pairs: int) -> None:
        """The settlement."""
        energy_wh, amounts = 180 * (pairs - 1), (54_000 * (pairs - 1),)
        self._by(self.provider, Close(self.client.key, AT_S, Reason.ENERGY_REACHED, pairs, energy_wh, amounts))
        self._by(self.client, Closed(self.provider.key, AT_S, pairs, energy_wh, amounts))

    def _by(self, who: Side, message: EntryBody) -> None:
        entry = who.append(message, self.last, self.request_id)
        (self.client if who is self.provider else self.provider).receive(entry)
        self.last = entry.hash


def pair_of(provider: bytes, client: bytes, number: int) -> tuple[Interval, Receipt]:
    """What the two say of one minute."""
    energy_wh, amounts = 180 * number, (54_000 * number,)
    said = Interval(client, number, AT_MS + 60_000 * number, 1_204_551 + energy_wh)
    return said, Receipt(provider, number, 883_012 + energy_wh, energy_wh, amounts)


PROVIDER, CLIENT = Signer(b"\x01" * 32), Signer(b"\x02" * 32)


@contextmanager
def opened(directory: Path, rule: PostingRule) -> Iterator[tuple[Ledger, Ledger]]:
    """Both ledgers on disk, each holding the other's first entry."""
    with (
        Ledger.open(directory / "provider.db", PROVIDER, posting_rule=rule) as provider,
        Ledger.open(directory / "client.db", CLIENT, posting_rule=rule) as client,
    ):
        for one, other in ((provider, client), (client, provider)):
            head = one.transact(lambda work: work.head())
            assert head is not None
            other.transact(lambda work, head=head: work.receive(head.signed))  # type: ignore[misc]
        yield provider, client


# many trades at once


@contextmanager
def served(directory: Path, rule: PostingRule) -> Iterator[tuple[Writer, Writer]]:
    """As `opened`, each ledger behind the thread that writes it."""
    with (
        Writer(lambda: Ledger.open(directory / "provider.db", PROVIDER, posting_rule=rule)) as provider,
        Writer(lambda: Ledger.open(directory / "client.db", CLIENT, posting_rule=rule)) as client,
    ):
        for one, other in ((provider, client), (client, provider)):
            head = one.submit(lambda work: work.head()).result()
            assert head is not None
            other.submit(lambda work, head=head: work.receive(head.signed)).result()  # type: ignore[misc]
        yield provider, client


@dataclass(frozen=True, slots=True)
class Served:
    """Each step is waited for."""

    writer: Writer
    key: bytes

    def append(self, message: EntryBody, answers: bytes, request_id: bytes) -> SignedEntry:
        return self.writer.submit(lambda work: Batched(work).append(message, answers, request_id)).result()

    def receive(self, entry: SignedEntry) -> None:
        self.writer.submit(lambda work: Batched(work).receive(entry)).result()

    def keep(self, letter: Letter, request_id: bytes) -> None:
        self.writer.submit(lambda work: Batched(work).keep(letter, request_id)).result()


def pairs_at_once(plays: Sequence[Play], number: int, provider: Writer, client: Writer) -> None:
    """An Interval and its Receipt of each trade, nobody waiting for the others."""
    said, answer = pair_of(PROVIDER.public, CLIENT.public, number)
    for writer, other, message in ((provider, client, said), (client, provider, answer)):
        written = [writer.submit(partial(_append, play=play, message=message)) for play in plays]
        received = []
        for play, future in zip(plays, written, strict=True):
            entry = future.result()
            play.last = entry.hash
            received.append(other.submit(partial(Transaction.receive, signed=entry)))
        assert all(future.result() for future in received)


def _append(work: Transaction, *, play: Play, message: EntryBody) -> SignedEntry:
    return Batched(work).append(message, play.last, play.request_id)
