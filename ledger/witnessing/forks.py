"""The fork proofs that a ledger holds. Each is a FORK entry of our own chain, kept for ever: one a node is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.entry import EntryType
from ledger.errors import Forked, Full, Misuse
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from ledger.witnessing.fork import ForkProof, to_file

MAX_FORKS: Final = 1_000
"""Proofs held. Each is of another node that signed two histories and traded with us, or with somebody who told."""


@dataclass(frozen=True, slots=True)
class HeldFork:
    """A FORK entry and the proof in it."""

    stored: StoredEntry
    proof: ForkProof


def keep_fork(transaction: Transaction, proof: ForkProof) -> HeldFork:
    """Append a proof, once it is checked; what is held against that node, where there is something already.

    Raises what `ForkProof.check` raises, Misuse for a proof against ourselves, or Full.
    """
    held = fork_of(transaction, proof.node)
    if held is not None:
        return held
    if proof.node == transaction.node:
        raise Misuse("a proof against our own node is its peers' to keep")
    proof.check(transaction.keys_of(proof.node))
    if len(transaction.apart(EntryType.FORK, transaction.node)) >= MAX_FORKS:
        raise Full(f"{MAX_FORKS} fork proofs are held already")
    signed = transaction.append(EntryType.FORK, proof.encode())
    stored = transaction.entry_at(signed.entry.node, signed.entry.epoch, signed.entry.seq)
    assert stored is not None  # noqa: S101  # appended above
    return HeldFork(stored, proof)


def forks(view: View) -> Sequence[HeldFork]:
    """All that are held, oldest first."""
    return [HeldFork(each, ForkProof.parse(each.body)) for each in view.apart(EntryType.FORK, view.node)]


def fork_of(view: View, node: bytes) -> HeldFork | None:
    """What is held against a node."""
    return next((held for held in forks(view) if held.proof.node == node), None)


def is_forked(view: View, node: bytes) -> bool:
    """Whether it is proven that a node signed two histories: it is not traded with."""
    return fork_of(view, node) is not None


def demand_unforked(view: View, node: bytes) -> None:
    """Raises Forked where a proof is held against the node."""
    held = fork_of(view, node)
    if held is not None:
        raise Forked(held.proof.sentence)


def file_of(view: View, held: HeldFork) -> bytes:
    """The proof as a file, with the node's KEY entries as far as they are held here."""
    return to_file(held.proof, view.key_entries(held.proof.node))
