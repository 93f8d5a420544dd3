"""Claim: proofs are cheap to make, cheap to check, and small: half a kilobyte shows that an entry is one of 100,000.

Beside: pymerkle, an implementation of the same tree in the same language, and bare SHA-256, all in one run.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import pymerkle

from benchmarks.report import Row, Table, interleaved, median, publish, typical
from ledger.accounts import Posting
from ledger.entry import EntryType
from ledger.proofs.merkle import HASH_BYTES, Frontier, Tree, leaf_hash, verify_consistency, verify_inclusion
from ledger.proofs.proving import HeldCheckpoint, append_checkpoint, consistency_proof, inclusion_proof
from ledger.proofs.tiles import TiledTree
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.view import StoredEntry

NAME = "proofs"
ROUNDS = 5
LEAVES = 5_000
"""Of the trees that are compared."""
ENTRIES = 10_000
"""Of the ledger in which proofs are made."""
PAYLOAD_BYTES = 150
"""Of an entry."""
SIZES = (1_000, 100_000, 1_000_000)
SAMPLES = 200
"""Places at which the size of a proof is looked up, beside the ends. In order, so that a tile is read once."""

Untyped = Any
T = TypeVar("T")


def payloads(count: int) -> list[bytes]:
    """Entries' payloads, each another."""
    return [number.to_bytes(PAYLOAD_BYTES, "big") for number in range(count)]


def _rate(count: int, work: Callable[[], object]) -> float:
    """How many of `count` a second of processor time."""
    began_s = time.process_time()
    work()
    return count / (time.process_time() - began_s)


# rates


def measure_append(data: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """Leaves a second, ours and pymerkle's."""

    def ours() -> object:
        return Frontier(leaf_hash(each) for each in data).root()

    def theirs() -> object:
        return _their_tree(data).get_root()

    return typical(interleaved(rounds, lambda: _rate(len(data), ours), lambda: _rate(len(data), theirs)))


def measure_prove(data: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """Inclusion proofs a second."""
    our_tree, their_tree, size = Tree(leaf_hash(each) for each in data), _their_tree(data), len(data)

    def ours() -> object:
        return [our_tree.inclusion_proof(index) for index in range(size)]

    def theirs() -> object:
        return [their_tree.prove_inclusion(index + 1, size) for index in range(size)]

    return typical(interleaved(rounds, lambda: _rate(size, ours), lambda: _rate(size, theirs)))


def measure_verify(data: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """Inclusion proofs checked a second."""
    our_tree, their_tree, size = Tree(leaf_hash(each) for each in data), _their_tree(data), len(data)
    root, check = our_tree.root(), cast(Untyped, pymerkle.verify_inclusion)
    our_proofs = [our_tree.inclusion_proof(index) for index in range(size)]
    their_proofs = [their_tree.prove_inclusion(index + 1, size) for index in range(size)]
    leaves = [leaf_hash(each) for each in data]

    def ours() -> None:
        for index, proof in enumerate(our_proofs):
            verify_inclusion(leaves[index], index, size, root, proof)

    def theirs() -> None:
        for index, proof in enumerate(their_proofs):
            check(leaves[index], root, proof)

    return typical(interleaved(rounds, lambda: _rate(size, ours), lambda: _rate(size, theirs)))


def measure_against_hashing(data: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """SHA-256 a second inside of our append (a leaf's, and a node's for each), and bare over as many bytes."""
    inputs = [b"\x00" + each for each in data] + [bytes(1 + 2 * HASH_BYTES)] * (len(data) - 1)

    def ours() -> object:
        return Frontier(leaf_hash(each) for each in data).root()

    def bare() -> object:
        return [hashlib.sha256(each).digest() for each in inputs]

    return typical(interleaved(rounds, lambda: _rate(len(inputs), ours), lambda: _rate(len(inputs), bare)))


def measure_consistency(data: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """Consistency proofs made, and checked, a second; pymerkle's are not of RFC 9162."""
    tree, size = Tree(leaf_hash(each) for each in data), len(data)
    root, roots = tree.root(), [tree.root(old) for old in range(size)]
    proofs = [tree.consistency_proof(old) for old in range(size)]

    def prove() -> object:
        return [tree.consistency_proof(old) for old in range(size)]

    def verify() -> None:
        for old, proof in enumerate(proofs):
            verify_consistency(old, roots[old], size, root, proof)

    return typical([(_rate(size, prove), _rate(size, verify)) for _ in range(rounds)])


def _their_tree(data: Sequence[bytes]) -> Untyped:
    make: Untyped = pymerkle.InmemoryTree
    return make.init_from_entries(data, algorithm="sha256")


# sizes


def measure_sizes(size: int) -> tuple[int, int]:
    """Hashes of the longest inclusion and consistency proofs among many of a tree of that size."""
    tree = TiledTree(size, lambda first, number: [leaf_hash(b"%d" % each) for each in range(first, first + number)])
    steps = range(0, size, max(1, size // SAMPLES))
    places = sorted(
        {0, size - 1, *(step | 1 for step in steps if step | 1 < size)}
    )  # odd sizes have the longest proofs
    inclusion = max(len(tree.inclusion_proof(index)) for index in places)
    consistency = max(len(tree.consistency_proof(old)) for old in places)
    return inclusion, consistency


# in a ledger


def measure_ledger(entries: int, rounds: int) -> tuple[float, float, float]:
    """Milliseconds of processor time in a ledger on disk of that size: another checkpoint after one more entry, its
    consistency proof, and an inclusion proof; the medians."""
    took: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="proofs-") as name, _opened(Path(name)) as ledger:
        _append(ledger, entries)
        before = ledger.transact(append_checkpoint)
        for _ in range(rounds):
            _append(ledger, 1)
            took.append(_one_round(ledger, before))
    checkpoint, consistency, inclusion = (median(each) for each in zip(*took, strict=True))
    return checkpoint, consistency, inclusion


def _opened(directory: Path) -> Ledger:
    return Ledger.open(directory / "ledger.store.sqlite", Signer(bytes(32)), posting_rule=no_postings)


def no_postings(before: object, stored: StoredEntry) -> tuple[object, Sequence[Posting]]:
    """A rule for the ledger's own cost."""
    return None, ()


def _append(ledger: Ledger, count: int) -> None:
    ledger.transact(lambda tx: [tx.append(EntryType.PAY, bytes(PAYLOAD_BYTES)) for _ in range(count)])


def _one_round(ledger: Ledger, before: HeldCheckpoint) -> tuple[float, float, float]:
    checkpoint_s, held = _timed(lambda: ledger.transact(append_checkpoint))
    consistency_s, _ = _timed(lambda: ledger.transact(lambda tx: consistency_proof(tx, held, before.checkpoint.size)))
    entry = ledger.transact(lambda tx: tx.entry_at(tx.node, held.epoch, before.checkpoint.size // 2))
    assert entry is not None
    inclusion_s, _ = _timed(lambda: ledger.transact(lambda tx: inclusion_proof(tx, entry.entry, held)))
    return 1_000 * checkpoint_s, 1_000 * consistency_s, 1_000 * inclusion_s


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of processor time, and what came of it."""
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


# tables


def tables(leaves: int, entries: int, rounds: int, sizes: Sequence[int]) -> list[Table]:
    """Rates, times in a ledger, and sizes."""
    data = payloads(leaves)
    prove, verify = measure_consistency(data, rounds)
    rates = (
        Row("append, with the root at the end", "/cpu s", *measure_append(data, rounds)),
        Row("inclusion proof made", "/cpu s", *measure_prove(data, rounds)),
        Row("inclusion proof checked", "/cpu s", *measure_verify(data, rounds)),
        Row("consistency proof made", "/cpu s", prove),
        Row("consistency proof checked", "/cpu s", verify),
    )
    hashing = Row("SHA-256 inside of append", "/cpu s", *measure_against_hashing(data, rounds))
    in_ledger = tuple(
        Row(what, "ms", value)
        for what, value in zip(
            ("checkpoint signed and appended", "its consistency proof", "an inclusion proof under it"),
            measure_ledger(entries, rounds),
            strict=True,
        )
    )
    lengths = [(size, *measure_sizes(size)) for size in sizes]
    bytes_of = tuple(
        Row(f"{what}, {size:,} entries, {hashes} hashes", "B", hashes * HASH_BYTES)
        for size, inclusion, consistency in lengths
        for what, hashes in (("inclusion", inclusion), ("consistency", consistency))
    )
    return [
        Table(f"The tree of RFC 9162, {leaves:,} leaves", "pymerkle", rates),
        Table("The same beside nothing but hashing", "bare SHA-256", (hashing,)),
        Table(f"In a ledger of {entries:,} entries, processor time", "-", in_ledger),
        Table("The longest proofs", "-", bytes_of),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=LEAVES)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    asked = parser.parse_args(arguments)
    publish(NAME, tables(asked.leaves, asked.entries, ROUNDS, SIZES))


if __name__ == "__main__":
    main()
