"""Steps over a `Transaction` that change who signs, or where: each appends one KEY entry to our own chain."""

from __future__ import annotations

from ledger.entry import EntryType, SignedEntry
from ledger.errors import Misuse
from ledger.keys.bodies import (
    ClosedEpoch,
    EpochStart,
    MeterKey,
    Place,
    Rotation,
    Succession,
    consent_of,
    encode_key,
)
from ledger.proofs.proving import own_frontier
from ledger.signing import Signer
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View


def own_key_entries(view: View) -> list[SignedEntry]:
    """What shows our keys to anybody, in the order in which it has to be received."""
    return list(view.key_entries(view.node))


def rotate(transaction: Transaction, new: Signer, commitment: bytes | None = None) -> SignedEntry:
    """From the next entry on `new` signs. commitment: to a first offline revocation key, where there is none yet.

    Raises Misuse for a key that signed for us before, or a commitment in place of another.
    """
    head = _head(transaction).entry
    place = Place(head.node, head.epoch, head.seq + 1, head.hash)
    kept = transaction.keys_of(transaction.node).commitment if commitment is None else commitment
    body = Rotation(new.public, kept, consent_of(new, place, kept))
    signed = transaction.append(EntryType.KEY, encode_key(body))
    transaction.add_signer(new)
    return signed


def bind_meter(transaction: Transaction, body: MeterKey) -> SignedEntry:
    """This meter's key signs for us from here on. Raises Misuse when it has not agreed to."""
    return transaction.append(EntryType.KEY, encode_key(body))


def open_epoch(transaction: Transaction) -> SignedEntry:
    """End the live epoch here and start another: whatever else was ever signed in the old one, nothing will be."""
    keys = transaction.keys_of(transaction.node)
    body = EpochStart(keys.current, keys.commitment, _closed(transaction))
    return transaction.append_start(transaction.new_epoch(), encode_key(body), transaction.signer)


def succeed(transaction: Transaction, offline: Signer, new: Signer | None, commitment: bytes) -> SignedEntry:
    """Revoke every key that has signed so far; `new` signs from here on, or nobody does. Our entries up to here count.

    commitment: to the offline key of the next time. Raises Misuse when this is not the one that our chain names.
    """
    epoch = transaction.new_epoch()
    place = Place(transaction.node, epoch, 0, _head(transaction).hash)
    agreed = consent_of(new, place, commitment) if new is not None else b""
    public = new.public if new is not None else b""
    body = Succession(public, commitment, _closed(transaction), agreed, offline.public)
    signed = transaction.append_start(epoch, encode_key(body), offline)
    if new is not None:
        transaction.add_signer(new)
    return signed


def _closed(view: View) -> ClosedEpoch:
    """The live epoch, should it end here."""
    head = _head(view).entry
    tree = own_frontier(view, head.epoch, head.seq + 1)
    if tree.size <= head.seq:
        raise Misuse(f"entry {tree.size} of our own chain is missing; run verify")
    return ClosedEpoch(head.epoch, tree.size, tree.root())


def _head(view: View) -> StoredEntry:
    head = view.head()
    if head is None:
        raise Misuse("the chain has no genesis entry yet")
    return head
