"""What a ledger's own chain can show a stranger: checkpoints, that an entry is in one, that one grew out of another.

Questions over a `View`, steps over a `Transaction`. A CHECKPOINT entry at place n of an epoch holds the note of size n
that the key of that place signed. A WITNESS entry answers one, with a peer's cosignature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger import cbor
from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import BadSignature, Corrupt, Malformed, Misuse
from ledger.keys.key_history import KeyHistory
from ledger.proofs.checkpoint import (
    Checkpoint,
    origin_of,
    sign_checkpoint,
    verify_cosignature,
    witness_of,
)
from ledger.proofs.merkle import HASH_BYTES, Frontier, leaf_hash
from ledger.proofs.note import Note, NoteSignature
from ledger.proofs.tiles import TILE_HEIGHT, TiledTree
from ledger.store.transaction import MAX_DOCUMENT_BYTES, Transaction
from ledger.store.view import StoredEntry, View

TILES_DOCUMENT: Final = "tree"
"""The roots of whole tiles up to the newest checkpoint. A cache: believed only where it leads to that one's root."""

MAX_TILES: Final = (MAX_DOCUMENT_BYTES - 64) // HASH_BYTES
"""Kept in one document, beside the epoch: a million entries. Later ones are read each time."""

PAGE_ROWS: Final = 1_000
"""Payloads read at a time while a whole epoch is: a quarter of a megabyte."""

RECENT_CHECKPOINTS: Final = 64
"""Of an epoch, looked through for one that was cosigned: peers that witness do so at once, or with the next."""

RECENT_WITNESSES: Final = 256
"""Looked through for what a peer cosigned last. One that cosigned before those is asked what it remembers."""


@dataclass(frozen=True, slots=True)
class HeldCheckpoint:
    """A CHECKPOINT entry of our own chain and what it says."""

    stored: StoredEntry
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def of(cls, stored: StoredEntry) -> HeldCheckpoint:
        """Raises Malformed or NotCanonical for a body that is no checkpoint's."""
        note = Note.parse(stored.body)
        return cls(stored, note, Checkpoint.parse(note.text))

    @property
    def epoch(self) -> bytes:
        """The one that it is of."""
        return self.stored.entry.epoch


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Of a witness on a checkpoint: its line, and the key that it signed with. The body of a WITNESS entry."""

    key: bytes
    line: NoteSignature

    def encode(self) -> bytes:
        """{0: key, 1: line}."""
        return cbor.encode({0: self.key, 1: self.line.line})

    @classmethod
    def parse(cls, body: bytes) -> Cosignature:
        """Raises Malformed, NotCanonical or TooLarge."""
        match cbor.decode(body):
            case {0: bytes(key), 1: str(line), **rest} if not rest:
                return cls(key, NoteSignature.parse(line))
        raise Malformed("a cosignature is a key and a line")

    @property
    def witness(self) -> bytes:
        """The node that cosigned. Raises UnknownOrigin."""
        return witness_of(self.line.name)

    def check(self, checkpoint: Checkpoint, keys: KeyHistory) -> int:
        """When it was made, in seconds since 1970; `keys` are the witness's. Raises BadSignature or UnknownOrigin."""
        if self.witness != keys.node or not keys.signed(self.key) or self.key in keys.revoked:
            raise BadSignature(f"{self.key.hex()[:16]}… is no key of the witness")
        return verify_cosignature(checkpoint, self.line, self.key)


def append_checkpoint(transaction: Transaction) -> HeldCheckpoint:
    """Sign what our chain is now, and append that; the newest one where nothing else came since.

    Raises Corrupt when our chain does not lead to the checkpoint before: nothing is signed that contradicts it.
    """
    head = _head(transaction)
    epoch, size = head.entry.epoch, head.entry.seq + 1
    newest = newest_checkpoint(transaction, epoch)
    if newest is not None and not _has_news(transaction, head, newest):
        return newest
    tree = _tree(transaction, epoch, size) if newest is None else _tree_to(transaction, newest, size)
    checkpoint = Checkpoint(origin_of(transaction.node, epoch), size, tree.root())
    note = sign_checkpoint(transaction.signer, checkpoint)
    transaction.append(EntryType.CHECKPOINT, bytes(note))
    transaction.put(TILES_DOCUMENT, epoch + b"".join(tree.tiles[:MAX_TILES]))
    return HeldCheckpoint(_head(transaction), note, checkpoint)


def append_witness(transaction: Transaction, checkpoint_hash: bytes, cosignature: Cosignature) -> SignedEntry:
    """Keep a cosignature on our CHECKPOINT entry of that hash; the first of each witness.

    Raises Misuse where there is no such entry, BadSignature, or UnknownOrigin.
    """
    held = transaction.entry(checkpoint_hash)
    if held is None or not held.own or held.type is not EntryType.CHECKPOINT:
        raise Misuse("a cosignature is kept beside the checkpoint that it is on")
    cosignature.check(HeldCheckpoint.of(held).checkpoint, transaction.keys_of(cosignature.witness))
    for kept, each in _cosigned(transaction, held):
        if each.line.name == cosignature.line.name:
            return kept.signed
    return transaction.append(EntryType.WITNESS, cosignature.encode(), answers=checkpoint_hash)


def newest_checkpoint(view: View, epoch: bytes) -> HeldCheckpoint | None:
    """The last one of an epoch of ours that our chain leads to."""
    number = 1 if epoch == view.keys_of(view.node).live else RECENT_CHECKPOINTS
    return next(_newest_first(view, epoch, number), None)


def covering_checkpoint(view: View, entry: Entry) -> HeldCheckpoint | None:
    """The newest checkpoint over an entry of ours that a witness cosigned, or else the newest; None where none is."""
    covering = [
        held for held in _newest_first(view, entry.epoch, RECENT_CHECKPOINTS) if held.checkpoint.size > entry.seq
    ]
    return next((held for held in covering if cosignatures(view, held)), next(iter(covering), None))


def cosignatures(view: View, held: HeldCheckpoint) -> Sequence[Cosignature]:
    """Those kept on a checkpoint of ours, oldest first."""
    return [cosignature for _, cosignature in _cosigned(view, held.stored)]


def cosigned_size(view: View, epoch: bytes, witness: bytes) -> int:
    """The size of our newest checkpoint of an epoch that a witness cosigned; 0 where none of the recent ones is."""
    for stored in view.newest_apart(EntryType.WITNESS, view.node, epoch, RECENT_WITNESSES):
        checkpoint = view.entry(stored.entry.answers)
        if checkpoint is not None and Cosignature.parse(stored.body).witness == witness:
            return HeldCheckpoint.of(checkpoint).checkpoint.size
    return 0


def inclusion_proof(view: View, entry: Entry, held: HeldCheckpoint) -> Sequence[bytes]:
    """That an entry of ours is under the root of that checkpoint of ours. Raises Misuse for one that is not."""
    return inclusion_proofs(view, [entry], held)[0]


def inclusion_proofs(view: View, entries: Sequence[Entry], held: HeldCheckpoint) -> Sequence[Sequence[bytes]]:
    """`inclusion_proof` of several entries, by one tree."""
    if any((entry.node, entry.epoch) != (view.node, held.epoch) for entry in entries):
        raise Misuse("the checkpoint is of another chain or epoch")
    tree = _tree_to(view, held, held.checkpoint.size)
    return [tree.inclusion_proof(entry.seq) for entry in entries]


def consistency_proof(view: View, held: HeldCheckpoint, old: int) -> Sequence[bytes]:
    """That the tree of a checkpoint of ours grew out of that of `old` entries. Raises Misuse for more than it has."""
    return _tree_to(view, held, held.checkpoint.size).consistency_proof(old)


def root_at(view: View, held: HeldCheckpoint, size: int) -> bytes:
    """Of the first `size` entries that a checkpoint of ours is over; few of them are read."""
    return _tree_to(view, held, held.checkpoint.size).root(size)


def _newest_first(view: View, epoch: bytes, number: int) -> Iterator[HeldCheckpoint]:
    """Without those that were lost with the entries before them, and shown to us again: no proof leads there."""
    ended = view.keys_of(view.node).ended(epoch)
    for stored in view.newest_apart(EntryType.CHECKPOINT, view.node, epoch, number):
        if ended is None or stored.entry.seq < ended.size:
            yield HeldCheckpoint.of(stored)


def _cosigned(view: View, checkpoint: StoredEntry) -> Sequence[tuple[StoredEntry, Cosignature]]:
    later = view.apart(EntryType.WITNESS, view.node, after=checkpoint.position)
    return [(each, Cosignature.parse(each.body)) for each in later if each.entry.answers == checkpoint.hash]


def own_frontier(view: View, epoch: bytes, size: int) -> Frontier:
    """Over the first `size` entries of an epoch of ours, or as many as there are in a row."""
    tree = Frontier()
    while tree.size < size:
        number = min(PAGE_ROWS, size - tree.size)
        payloads = view.payloads(view.node, epoch, tree.size, number)
        for payload in payloads:
            tree.append(leaf_hash(payload))
        if len(payloads) < number:
            break
    return tree


def _tree_to(view: View, held: HeldCheckpoint, size: int) -> TiledTree:
    """Over the first `size` entries of the checkpoint's epoch, once it is seen to lead to that checkpoint.

    Raises Corrupt where it does not.
    """
    for tiles in (_tiles(view, held.epoch, size), ()):
        tree = _tree(view, held.epoch, size, tiles)
        if tree.root(held.checkpoint.size) == held.checkpoint.root:
            return tree
    raise Corrupt("our chain does not lead to the checkpoint that we signed; run verify")


def _tree(view: View, epoch: bytes, size: int, tiles: Sequence[bytes] = ()) -> TiledTree:
    return TiledTree(size, lambda first, number: _leaves(view, epoch, first, number), tiles)


def _leaves(view: View, epoch: bytes, first: int, number: int) -> Sequence[bytes]:
    payloads = view.payloads(view.node, epoch, first, number)
    if len(payloads) < number:
        raise Misuse(f"entries are missing behind entry {first + len(payloads)} of this epoch")
    return [leaf_hash(each) for each in payloads]


def _tiles(view: View, epoch: bytes, size: int) -> Sequence[bytes]:
    """As kept, of trees up to `size`; none where what is kept is of something else."""
    kept = view.get(TILES_DOCUMENT)
    if kept is None or kept[: len(epoch)] != epoch:
        return ()
    data = kept[len(epoch) :]
    whole = min(len(data) // HASH_BYTES, size >> TILE_HEIGHT)
    return [data[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(whole)]


def _has_news(view: View, head: StoredEntry, newest: HeldCheckpoint) -> bool:
    """Whether anything but cosignatures came after our newest checkpoint."""
    later = view.apart(EntryType.WITNESS, view.node, after=newest.stored.position)
    return len(later) < head.entry.seq - newest.stored.entry.seq


def _head(view: View) -> StoredEntry:
    head = view.head()
    if head is None:
        raise Misuse("the chain has no genesis entry yet")
    return head
