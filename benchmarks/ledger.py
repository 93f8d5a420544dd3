"""Claim: keeping a pair of half-blocks costs little beyond its signatures, and so does verifying a long ledger.

A pair is an Interval of the provider and the client's Receipt of it: each is signed, committed with SQLite's FULL to
disk, and then verified and committed by the other side, so four commits in two ledgers; with many trades at once those
that wait share a commit. Beside: PyNaCl signing and verifying the same two entries, and nothing else, in the same run;
and pyipv8's TrustChain, where it is installed. `--entries N` for a longer ledger.
"""

import argparse
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nacl.signing import SigningKey, VerifyKey

from benchmarks.report import Row, Table, median, publish, typical
from benchmarks.trades import (
    CLIENT,
    PROVIDER,
    Batched,
    Durable,
    Play,
    Served,
    Side,
    Unkept,
    opened,
    pairs_at_once,
    served,
)
from benchmarks.trustchain_process import NO_TRUSTCHAIN, TrustChain, trustchain_if_any
from ledger.accounts import Posting
from ledger.audit.quick import verify_quickly
from ledger.audit.verify import verify
from ledger.signing import AAD_ENTRY, sig_structure
from ledger.store.history import PostingRule
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry
from ledger.store.writer import Writer
from tests.ledger.world import Chain
from v2xnode.settling.money import posting_rule

NAME = "ledger"
ROUNDS = 5
PAIRS = 20
"""Of a trade: twenty minutes at an interval each minute."""
LONG_PAIRS = 100
"""A trade of almost two hours. A round of this is one trade."""
TRADES = 5
"""A round's."""
AT_ONCE = 20
"""Trades of a small coordinator."""
LONG_ROUNDS = 3
ENTRIES = 3_000
ENTRY_BYTES = 185
"""What is signed of an Interval or a Receipt."""
VERIFY_ROUNDS = 3
PAIR_GOAL, VERIFY_GOAL, QUICK_GOAL, TRUSTCHAIN_GOAL = 0.4, 0.9, 10.0, 3.0


def _timed(count: int, work: Callable[[], None]) -> tuple[float, float]:
    """How many of `count` a second of processor time, and of real time."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return count / (time.process_time() - cpu_s), count / (time.perf_counter() - began_s)


# pairs


@dataclass(slots=True)
class Pairs:
    """Pairs a second of processor time beside the others', round by round; ours a second of real time too.

    bare: beside the same signatures alone; trustchain: beside TrustChain, where there is one.
    """

    bare: list[tuple[float, float]] = field(default_factory=list)
    trustchain: list[tuple[float, float]] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def measure_pairs(
    rounds: int,
    trades: int,
    pairs: int,
    rule: PostingRule = posting_rule,
    *,
    at_once: bool = False,
    trustchain: TrustChain | None = None,
) -> Pairs:
    """Rounds of so many trades of so many pairs; only the pairs are timed. at_once: all trades together, each ledger
    behind its writer; otherwise one after the other."""
    found, count = Pairs(), trades * pairs
    with tempfile.TemporaryDirectory(prefix="pairs-") as directory, _played(Path(directory), rule, at_once) as play:
        for _ in range(rounds):
            per_cpu_s, per_s = play(trades, pairs)
            found.wall.append(per_s)
            found.bare.append((per_cpu_s, bare_pairs(count)))
            if trustchain is not None:
                found.trustchain.append((per_cpu_s, trustchain.pairs(count)))
    return found


@contextmanager
def _played(directory: Path, rule: PostingRule, at_once: bool) -> Iterator[Callable[[int, int], tuple[float, float]]]:
    """Plays so many trades of so many pairs: pairs a second of processor time and of real time."""
    with ExitStack() as stack:
        if at_once:
            writers = stack.enter_context(served(directory, rule))
            sides: tuple[Side, Side] = (Served(writers[0], PROVIDER.public), Served(writers[1], CLIENT.public))
        else:
            ledgers = stack.enter_context(opened(directory, rule))
            sides = (Durable(ledgers[0]), Durable(ledgers[1]))

        def play(trades: int, pairs: int) -> tuple[float, float]:
            plays = [Play(*sides, secrets.token_bytes(16)) for _ in range(trades)]
            for each in plays:
                each.agree(PROVIDER, CLIENT)
            rates = _timed(trades * pairs, lambda: _all_pairs(plays, pairs, writers if at_once else None))
            for each in plays:
                each.close(pairs)
            return rates

        yield play


def _all_pairs(plays: Sequence[Play], pairs: int, writers: tuple[Writer, Writer] | None) -> None:
    if writers is not None:
        for number in range(pairs):
            pairs_at_once(plays, number, *writers)
        return
    for play in plays:
        for number in range(pairs):
            play.pair(number)


def no_postings(before: None, stored: StoredEntry) -> tuple[None, Sequence[Posting]]:
    """A rule for the ledger's own cost."""
    return None, ()


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
    """Entries a second, ours beside the bare signatures', round by round: of processor time, and of real time, where
    the bare ones take one processor and ours what there is."""

    entries: int
    cpu: list[tuple[float, float]]
    wall: list[tuple[float, float]]
    quick: list[tuple[float, float]]
    """Of our own chain alone by its newest signature, processor time."""


def measure_verification(entries: int, rounds: int = VERIFY_ROUNDS) -> Verified:
    """The whole verification against the verification of the same signatures alone."""
    with tempfile.TemporaryDirectory(prefix="verify-") as directory:
        path = Path(directory) / "client.db"
        fill(path, entries)
        signatures = _signatures(path)
        count = len(signatures)
        found = Verified(count, [], [], [])
        for _ in range(rounds):
            ours = _timed(count, lambda: _verify(path))
            bare = _timed(count, lambda: _verify_bare(signatures))
            found.cpu.append((ours[0], bare[0]))
            found.wall.append((ours[1], bare[1]))
            found.quick.append((_quick(path), bare[0]))
        return found


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


def _quick(path: Path) -> float:
    """Entries of our own chain, verified by its newest signature, a second of processor time."""
    with LedgerReader.open(path) as reader:
        began_s = time.process_time()
        report = verify_quickly(reader)
        took_s = time.process_time() - began_s
    if not report.ok:
        raise RuntimeError(report.sentence)
    return report.entries / took_s


def _verify_bare(signatures: Sequence[tuple[bytes, bytes, bytes]]) -> None:
    for key, message, signature in signatures:
        VerifyKey(key).verify(message, signature)


# tables


def tables(measured: Mapping[str, Pairs], verified: Verified) -> list[Table]:
    """The round with the median ratio of each. measured: by what was different."""
    bare: list[Row] = []
    beside: list[Row] = []
    for what, found in measured.items():
        bare.append(Row(f"pairs, {what}", "/cpu s", *typical(found.bare), ratio_goal=PAIR_GOAL))
        bare.append(Row("  a second of real time, this disk", "/s", median(found.wall)))
        if found.trustchain:
            beside.append(Row(f"pairs, {what}", "/cpu s", *typical(found.trustchain), ratio_goal=TRUSTCHAIN_GOAL))
    of = f"entries, of {verified.entries:,}"
    entries = (
        Row(of, "/cpu s", *typical(verified.cpu), ratio_goal=VERIFY_GOAL),
        Row("  a second of real time", "/s", *typical(verified.wall)),
        Row("our own chain, by its newest signature", "/cpu s", *typical(verified.quick), ratio_goal=QUICK_GOAL),
    )
    signed = "Pairs of half-blocks, signed, verified, FULL on disk at both sides"
    whole = "Verification of a whole ledger: signatures, hashes, chains, answers, postings"
    other = "The same beside pyipv8's TrustChain, which commits with NORMAL"
    note = "" if beside else NO_TRUSTCHAIN
    return [
        Table(signed, "bare signatures", tuple(bare)),
        Table(other, "TrustChain", tuple(beside), note),
        Table(whole, "bare signatures", entries),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    entries = parser.parse_args(arguments).entries
    with trustchain_if_any() as trustchain:
        measured = {
            "the ledger alone": measure_pairs(ROUNDS, TRADES, PAIRS, no_postings),
            "with a node's postings": measure_pairs(ROUNDS, TRADES, PAIRS, trustchain=trustchain),
            f"  trades of {LONG_PAIRS}": measure_pairs(LONG_ROUNDS, 1, LONG_PAIRS),
            f"  {AT_ONCE} trades at once": measure_pairs(ROUNDS, AT_ONCE, PAIRS, at_once=True, trustchain=trustchain),
        }
    publish(NAME, tables(measured, measure_verification(entries)))


if __name__ == "__main__":
    main()
