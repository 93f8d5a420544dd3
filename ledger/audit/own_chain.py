"""A ledger's own chain, entry by entry, as an audit meets it: what it grows by, and what stands beside it."""

from __future__ import annotations

from ledger import chain
from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import BrokenChain
from ledger.keys.bodies import ClosedEpoch, EpochStart, Succession, decode_key
from ledger.keys.key_history import KeyHistory
from ledger.proofs.merkle import Frontier, leaf_hash


class OwnChain:
    """`head` is its newest entry. Entries of ended epochs, lost and shown to us again, are ours and not part of it."""

    def __init__(self) -> None:
        self.head: Entry | None = None
        self._tree = Frontier()

    def take(self, signed: SignedEntry, keys: KeyHistory) -> bool:
        """The next entry of ours in the order of arrival; `keys` is the history before it. Whether the chain grew.

        Raises Gap, BrokenChain, Foreign or BeyondHead.
        """
        entry = signed.entry
        if self.head is not None and entry.epoch != self.head.epoch and entry.prev != self.head.hash:
            chain.check_start(entry)
            chain.check_adopted(entry, keys)
            return False
        chain.check_link(self.head, entry)
        if self.head is not None:
            self._tree.append(leaf_hash(self.head.payload))
        if entry.seq == 0:
            self._check_end(signed)
            self._tree = Frontier()
        self.head = entry
        return True

    def root_before(self) -> bytes:
        """Of the entries of the head's epoch before it."""
        return self._tree.root()

    def _check_end(self, signed: SignedEntry) -> None:
        """Whether an epoch's start says how the one before ended."""
        if self.head is None or signed.entry.type is not EntryType.KEY:
            return
        body = decode_key(signed.body)
        if not isinstance(body, EpochStart | Succession):
            raise BrokenChain("an epoch begins with a KEY entry that names the one before")
        if body.closed != ClosedEpoch(self.head.epoch, self._tree.size, self._tree.root()):
            raise BrokenChain("the epoch before ended otherwise than its successor says")
