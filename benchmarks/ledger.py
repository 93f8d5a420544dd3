"""Claim: keeping a pair of half-blocks costs little beyond its signatures, and so does verifying a long ledger.

A pair is an Interval of the provider and the client's Receipt of it: each is signed, committed with SQLite's FULL to
disk, and then verified and committed by the other side, so four commits in two ledgers. Beside: PyNaCl signing and
verifying the same two entries, and nothing else, in the same run. `--entries N` for a longer ledger.
"""

import argparse
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nacl.signing import SigningKey, VerifyKey

from benchmarks.report import Row, Table, interleaved, median, publish, typical
from ledger.accounts import Posting
from ledger.audit import verify
from ledger.entry import SignedEntry
from ledger.history import PostingRule
from ledger.reader import LedgerReader
from ledger.signing import AAD_ENTRY, Signer, sig_structure
from ledger.store import Ledger
from ledger.transaction import Transaction
from ledger.view import StoredEntry
from market.errors import Reason
from market.terms import Accept, Close, Closed, Confirm, EntryBody, Interval, Receipt
from tests.ledger.world import Chain
from tests.support.market_terms import offer, request
from v2xnode.envelope import Letter, body_of, sign_letter
from v2xnode.settling.money import posting_rule

NAME = "ledger"
ROUNDS = 5
PAIRS = 20
"""Of a trade: twenty minutes at an interval each minute."""
LONG_PAIRS = 100
"""A trade of almost two hours. A round of this is one trade."""
TRADES = 1
"""A round's."""
LONG_ROUNDS = 3
ENTRIES = 3_000
ENTRY_BYTES = 185
"""What is signed of an Interval or a Receipt."""
VERIFY_ROUNDS = 3
AT_S = 1_768_415_520
AT_MS = AT_S * 1_000
PAIR_GOAL, VERIFY_GOAL = 0.4, 0.9


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
        energy_wh, amounts = 180 * number, (54_000 * number,)
        end_at_ms = AT_MS + 60_000 * number
        self._by(self.provider, Interval(self.client.key, number, end_at_ms, 1_204_551 + energy_wh))
        self._by(self.client, Receipt(self.provider.key, number, 883_012 + energy_wh, energy_wh, amounts))

    def close(self, pairs: int) -> None:
        """The settlement."""
        energy_wh, amounts = 180 * (pairs - 1), (54_000 * (pairs - 1),)
        self._by(self.provider, Close(self.client.key, AT_S, Reason.ENERGY_REACHED, pairs, energy_wh, amounts))
        self._by(self.client, Closed(self.provider.key, AT_S, pairs, energy_wh, amounts))

    def _by(self, who: Side, message: EntryBody) -> None:
        entry = who.append(message, self.last, self.request_id)
        (self.client if who is self.provider else self.provider).receive(entry)
        self.last = entry.hash


PROVIDER, CLIENT = Signer(b"\x01" * 32), Signer(b"\x02" * 32)


@contextmanager
def _opened(directory: Path, rule: PostingRule) -> Iterator[tuple[Ledger, Ledger]]:
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


def _timed(count: int, work: Callable[[], None]) -> tuple[float, float]:
    """How many of `count` a second of processor time, and of real time."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return count / (time.process_time() - cpu_s), count / (time.perf_counter() - began_s)


# pairs


@dataclass(slots=True)
class Pairs:
    """Pairs a second of processor time beside the bare signatures', round by round; ours a second of real time too."""

    cpu: list[tuple[float, float]]
    wall: list[float]


def measure_pairs(rounds: int, trades: int, pairs: int, rule: PostingRule = posting_rule) -> Pairs:
    """Rounds of so many trades of so many pairs; only the pairs are timed."""
    found = Pairs([], [])

    def ours(provider: Ledger, client: Ledger) -> float:
        plays = [Play(Durable(provider), Durable(client), secrets.token_bytes(16)) for _ in range(trades)]
        for play in plays:
            play.agree(PROVIDER, CLIENT)
        per_cpu_s, per_s = _timed(trades * pairs, lambda: _play_pairs(plays, pairs))
        for play in plays:
            play.close(pairs)
        found.wall.append(per_s)
        return per_cpu_s

    with tempfile.TemporaryDirectory(prefix="pairs-") as directory, _opened(Path(directory), rule) as (one, other):
        found.cpu += interleaved(rounds, lambda: ours(one, other), lambda: bare_pairs(trades * pairs))
    return found


def no_postings(before: None, stored: StoredEntry) -> tuple[None, Sequence[Posting]]:
    """A rule for the ledger's own cost."""
    return None, ()


def _play_pairs(plays: Sequence[Play], pairs: int) -> None:
    for play in plays:
        for number in range(pairs):
            play.pair(number)


def bare_pairs(count: int) -> float:
    """Two signatures made and verified for each of `count`, a second of processor time."""
    keys = [SigningKey(seed * 32) for seed in (b"\x01", b"\x02")]
    message = secrets.token_bytes(ENTRY_BYTES)

    def work() -> None:
        for _ in range(count):
            for key in keys:
                key.verify_key.verify(message, key.sign(message).signature)

    return _timed(count, work)[0]


# verification


def fill(path: Path, entries: int) -> None:
    """A client's ledger of at least so many entries, trade by trade."""
    chain = Chain(PROVIDER)
    with Ledger.open(path, CLIENT, posting_rule=posting_rule) as ledger:
        ledger.transact(lambda work: work.receive(chain.entries[0]))
        for _ in range(-(-entries // (2 * PAIRS + 4))):
            ledger.transact(lambda work: _whole_trade(Unkept(chain), Batched(work)))


def _whole_trade(provider: Side, client: Side) -> None:
    play = Play(provider, client, secrets.token_bytes(16))
    play.agree(PROVIDER, CLIENT)
    for number in range(PAIRS):
        play.pair(number)
    play.close(PAIRS)


@dataclass(frozen=True, slots=True)
class Verified:
    """Entries a second of processor time, ours beside the bare signatures', round by round."""

    entries: int
    rounds: list[tuple[float, float]]


def measure_verification(entries: int, rounds: int = VERIFY_ROUNDS) -> Verified:
    """The whole verification against the verification of the same signatures alone."""
    with tempfile.TemporaryDirectory(prefix="verify-") as directory:
        path = Path(directory) / "client.db"
        fill(path, entries)
        signatures = _signatures(path)
        count = len(signatures)
        return Verified(
            count,
            interleaved(
                rounds,
                lambda: _timed(count, lambda: _verify(path))[0],
                lambda: _timed(count, lambda: _verify_bare(signatures))[0],
            ),
        )


def _signatures(path: Path) -> list[tuple[bytes, bytes, bytes]]:
    """Key, what is signed, signature: of all entries."""
    found: list[tuple[bytes, bytes, bytes]] = []
    with LedgerReader.open(path) as reader:
        position = 0
        while page := reader.page(after=position):
            position = page[-1].position
            found += [
                (each.entry.node, sig_structure(each.entry.payload, AAD_ENTRY), each.signed.signature) for each in page
            ]
    return found


def _verify(path: Path) -> None:
    with LedgerReader.open(path) as reader:
        report = verify(reader, posting_rule)
    if not report.ok:
        raise RuntimeError(report.sentence)


def _verify_bare(signatures: Sequence[tuple[bytes, bytes, bytes]]) -> None:
    for key, message, signature in signatures:
        VerifyKey(key).verify(message, signature)


# tables


def tables(measured: Mapping[str, Pairs], verified: Verified) -> list[Table]:
    """The round with the median ratio of each. measured: by what was different."""
    pairs: list[Row] = []
    for what, found in measured.items():
        pairs.append(Row(f"pairs, {what}", "/cpu s", *typical(found.cpu), ratio_goal=PAIR_GOAL))
        pairs.append(Row("  a second of real time, this disk", "/s", median(found.wall)))
    of = f"entries, of {verified.entries:,}"
    entries = Row(of, "/cpu s", *typical(verified.rounds), ratio_goal=VERIFY_GOAL)
    signed = "Pairs of half-blocks, signed, verified, FULL on disk at both sides"
    whole = "Verification of a whole ledger: signatures, hashes, chains, answers, postings"
    return [Table(signed, "bare signatures", tuple(pairs)), Table(whole, "bare signatures", (entries,))]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    entries = parser.parse_args(arguments).entries
    measured = {
        "the ledger alone": measure_pairs(ROUNDS, TRADES, PAIRS, no_postings),
        f"with a node's postings, trades of {PAIRS}": measure_pairs(ROUNDS, TRADES, PAIRS),
        f"with a node's postings, trades of {LONG_PAIRS}": measure_pairs(LONG_ROUNDS, 1, LONG_PAIRS),
    }
    publish(NAME, tables(measured, measure_verification(entries)))


if __name__ == "__main__":
    main()
