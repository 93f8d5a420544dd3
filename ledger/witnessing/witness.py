"""What we remember of others' chains, and cosign: the newest checkpoint of each node and epoch.

A peer shows its checkpoint with a proof that it grew out of the one that we remember. What is smaller, or does not
grow out of it, is not cosigned; another root for the same size is a fork, and the proof is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import Misuse, Revoked
from ledger.proofs.checkpoint import Checkpoint, cosign, open_checkpoint
from ledger.proofs.merkle import verify_consistency
from ledger.proofs.note import KeyType, Note, NoteSignature
from ledger.store.transaction import Transaction
from ledger.store.view import View
from ledger.witnessing.fork import fork_of_checkpoints
from ledger.witnessing.forks import demand_unforked, keep_fork
from ledger.witnessing.witnessed import Witnessed, remember, remembered

_MS_PER_S: Final = 1_000


def show(
    transaction: Transaction, note: Note, old_size: int, proof: Sequence[bytes], now_s: int
) -> NoteSignature | Note:
    """A peer shows a checkpoint, and that it grew out of `old_size` entries. Our cosignature, or the note that we
    remember, where the proof has to begin at that one's size or the checkpoint is smaller.

    The cosignature may leave this process only when the transaction is on the disk: `Ledger.transact` has returned.

    Raises Malformed, NotCanonical or UnknownOrigin for what is no node's checkpoint; BadSignature, Gap or Revoked;
    BadProof where the proof begins at what we remember and does not lead here; Full. A second root for one size
    appends the FORK entry, and the remembered note is the answer; from then on Forked is raised.
    """
    shown = opened(transaction, note)
    node, epoch = shown.checkpoint.place
    demand_unforked(transaction, node)
    before = remembered(transaction, node, epoch)
    if before is not None:
        kept = _kept_against(transaction, before, shown, old_size, proof)
        if kept is not None:
            return kept
    size, root = shown.checkpoint.size, shown.checkpoint.root
    remember(transaction, Witnessed(node, epoch, size, root, bytes(shown.note), now_s * _MS_PER_S))
    return cosign(transaction.signer, transaction.node, shown.checkpoint, now_s)


@dataclass(frozen=True, slots=True)
class Shown:
    """A peer's checkpoint whose signature holds: the note with that signature alone, and the key that made it."""

    checkpoint: Checkpoint
    note: Note
    key: bytes


def opened(view: View, note: Note) -> Shown:
    """What a peer's note says, by the key of the place behind its last entry. Raises what `show` raises for a note."""
    checkpoint = Checkpoint.parse(note.text)
    node, epoch = checkpoint.place
    if node == view.node:
        raise Misuse("our own checkpoint is not ours to witness")
    keys = view.keys_of(node)
    key = keys.key_at(epoch, checkpoint.size)
    if key in keys.revoked:
        raise Revoked("the checkpoint is signed by a key that is revoked")
    open_checkpoint(note, key)
    return Shown(checkpoint, Note(note.text, (note.by(checkpoint.origin, key, KeyType.ED25519),)), key)


def _kept_against(
    transaction: Transaction, before: Witnessed, shown: Shown, old_size: int, proof: Sequence[bytes]
) -> Note | None:
    """What we remember, where that speaks against cosigning. Keeps the fork, if it is one. Raises BadProof."""
    known, checkpoint = Note.parse(before.note), shown.checkpoint
    if checkpoint.size == before.size:
        if checkpoint.root == before.root:
            return None
        keep_fork(transaction, fork_of_checkpoints(known, shown.note, shown.key))
        return known
    if checkpoint.size < before.size or old_size != before.size:
        return known
    verify_consistency(before.size, before.root, checkpoint.size, checkpoint.root, proof)
    return None
