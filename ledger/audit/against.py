"""A ledger held against a checkpoint of it that somebody else kept: what no look at the ledger alone can show."""

from __future__ import annotations

from ledger.audit.rows import Fault
from ledger.errors import Foreign, Gap, Revoked
from ledger.keys.key_history import KeyHistory
from ledger.proofs.checkpoint import Checkpoint, open_checkpoint
from ledger.proofs.note import Note
from ledger.proofs.proving import own_frontier
from ledger.store.view import View


def check_against(view: View, note: Note) -> Fault | None:
    """What contradicts the checkpoint, in a ledger that was verified by itself; None where it holds.

    `truncated` names the missing tail, `rewritten` says that the ledger tells another history of the same length.
    Raises Malformed, NotCanonical or UnknownOrigin for what is no node's checkpoint, Foreign for another node's,
    BadSignature for one that no key of this ledger signed, and Revoked where a revoked key's contradicts the ledger:
    whoever took that key may have made it up.
    """
    checkpoint = Checkpoint.parse(note.text)
    node, epoch = checkpoint.place
    if node != view.node:
        raise Foreign(f"the checkpoint is of {node.hex()[:16]}…, the ledger of {view.node.hex()[:16]}…")
    keys = view.keys_of(node)
    key = _key_of(keys, epoch, checkpoint.size)
    open_checkpoint(note, key)
    tree = own_frontier(view, epoch, checkpoint.size)
    if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root) and key in keys.revoked:
        raise Revoked("the checkpoint is of a key that is revoked, and not of this ledger's entries")
    if tree.size < checkpoint.size:
        return Fault("entry", 0, "", "truncated", _missing(epoch, tree.size, checkpoint.size))
    if tree.root() != checkpoint.root:
        sentence = (
            f"the first {checkpoint.size} entries of the epoch {epoch.hex()} are not the ones that were signed for"
        )
        return Fault("entry", 0, "", "rewritten", sentence)
    return None


def _key_of(keys: KeyHistory, epoch: bytes, size: int) -> bytes:
    """The key of the place behind the last entry; of an epoch that is missing as a whole, the one that signs now."""
    try:
        return keys.key_at(epoch, size)
    except Gap:
        return keys.current


def _missing(epoch: bytes, have: int, size: int) -> str:
    which = f"entry {have} is" if size - have == 1 else f"entries {have} to {size - 1} are"
    return f"our own {which} missing of the epoch {epoch.hex()}: the checkpoint was signed over {size}"
