"""Checkpoints of our chain for peers to cosign, and theirs for us: who shows two histories is found by those who
remember."""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import Foreign
from ledger.own.key_changes import open_epoch
from ledger.proofs import proving
from ledger.proofs.checkpoint import Checkpoint, open_checkpoint
from ledger.proofs.note import Note, NoteSignature
from ledger.proofs.proving import HeldCheckpoint
from ledger.store.transaction import Transaction
from ledger.witnessing import witness
from market.terms import CheckpointShown, Cosignature, Remembered, Shown
from v2xnode.trading.recollection import shown

Said = CheckpointShown | Cosignature | Remembered | Shown

NEWEST = frozenset({EntryType.CHECKPOINT, EntryType.WITNESS})
"""Entries that a peer is shown so that it holds the newest of our chain: the next then need not say what it follows."""

MAX_NEWEST = 2_000
"""Such entries of one peer, each after a trade or a payment: 1 MB. Further ones spare nobody more than 32 bytes."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Our key signed two histories: an older copy of our ledger went on unseen, or the key is in other hands."""

    epoch: bytes
    size: int


def to_show(transaction: Transaction, peer: bytes) -> CheckpointShown | None:
    """Our newest checkpoint, made now if there is news, with the proof that it continues what this peer cosigned last;
    None where the peer has cosigned it already."""
    held = proving.append_checkpoint(transaction)
    cosigned = proving.cosigned_size(transaction, held.epoch, peer)
    if cosigned == held.checkpoint.size:
        return None
    return _shown(transaction, held, cosigned)


def hear(transaction: Transaction, peer: bytes, said: Said, now_s: int) -> Iterator[Said | Alarm]:
    """What a peer says of checkpoints, and what to answer.

    Raises RemoteLedgerError for a note that is not the peer's, or does not hold.
    """
    match said:
        case CheckpointShown():
            yield _witness(transaction, peer, said, now_s)
            ours = to_show(transaction, peer)
            if ours is not None:
                yield ours
        case Cosignature():
            kept = _keep(transaction, peer, said)
            if kept is not None:
                yield shown(kept)
        case Shown():
            _hold(transaction, peer, said)
        case Remembered():
            again = _from(transaction, said)
            if again is not None:
                yield again


def _hold(transaction: Transaction, peer: bytes, said: Shown) -> None:
    entry = Entry.parse(said.payload)
    if entry.node != peer or entry.type not in NEWEST:
        raise Foreign("a peer shows the newest of its own chain here")
    if transaction.number_apart(entry.type, peer) >= MAX_NEWEST:
        return
    transaction.receive(SignedEntry(entry, said.signature, said.salt, said.body, None))


def _keep(transaction: Transaction, peer: bytes, said: Cosignature) -> SignedEntry | None:
    """Beside our newest checkpoint; a line on an older one says less than what it will say next time."""
    newest = proving.newest_checkpoint(transaction, transaction.keys_of(transaction.node).live)
    if newest is None:
        return None
    line = NoteSignature.parse(said.line.decode("utf-8", errors="replace"))
    keys = transaction.keys_of(peer)
    cosignature = proving.Cosignature(keys.current, line)
    if cosignature.witness != peer:
        raise Foreign("a peer cosigns in its own name")
    cosignature.check(newest.checkpoint, keys)
    if proving.cosigned_size(transaction, newest.epoch, peer) >= newest.checkpoint.size:
        return None
    return proving.append_witness(transaction, newest.stored.hash, cosignature)


def _from(transaction: Transaction, said: Remembered) -> CheckpointShown | Alarm | None:
    """The proof from what the peer remembers. Where that is more than we have, our chain has lost its end; where it is
    something else, there are two of it. In either an epoch begins: nothing is signed for a place that may be taken."""
    remembered = Checkpoint.parse(Note.parse(said.note).text)
    node, epoch = remembered.place
    keys = transaction.keys_of(transaction.node)
    if node != transaction.node:
        raise Foreign("a peer remembers another chain than ours")
    open_checkpoint(Note.parse(said.note), keys.key_at(epoch, remembered.size))
    if epoch != keys.live:
        return None
    newest = proving.newest_checkpoint(transaction, epoch)
    if newest is None or remembered.size > newest.checkpoint.size:
        open_epoch(transaction)
        return None
    if proving.root_at(transaction, newest, remembered.size) != remembered.root:
        open_epoch(transaction)
        return Alarm(epoch, remembered.size)
    return _shown(transaction, newest, remembered.size)


def _shown(transaction: Transaction, held: HeldCheckpoint, from_size: int) -> CheckpointShown:
    proof = proving.consistency_proof(transaction, held, from_size) if from_size else ()
    return CheckpointShown(bytes(held.note), from_size, tuple(proof))


def _witness(transaction: Transaction, peer: bytes, shown: CheckpointShown, now_s: int) -> Cosignature | Remembered:
    note = Note.parse(shown.note)
    node, _ = Checkpoint.parse(note.text).place
    if node != peer:
        raise Foreign("a peer shows its own checkpoints")
    answer = witness.show(transaction, note, shown.from_size, shown.proof, now_s)
    return Remembered(bytes(answer)) if isinstance(answer, Note) else Cosignature(answer.line.encode())
