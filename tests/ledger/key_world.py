"""A node that changes its keys, and the KEY entries that it shows; kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ledger.entry import NO_HASH, Entry, EntryType, SignedEntry, commit, sign_entry
from ledger.keys.bodies import (
    ClosedEpoch,
    EpochStart,
    Genesis,
    KeyBody,
    Place,
    Rotation,
    Succession,
    commitment_to,
    consent_of,
    encode_key,
)
from ledger.keys.key_history import KeyHistory, fold_keys
from ledger.proofs.merkle import leaf_hash, root_of
from ledger.signing import Signer

FIRST, SECOND, THIRD, OFFLINE, OTHER = (Signer(bytes([number]) * 32) for number in (41, 42, 43, 44, 45))
NODE = FIRST.public
COMMITMENT = commitment_to(OFFLINE.public)
SALT = bytes(16)


def signed_key(signer: Signer, place: Place, body: KeyBody | bytes) -> SignedEntry:
    """A KEY entry, whatever it says."""
    data = body if isinstance(body, bytes) else encode_key(body)
    entry = Entry(1, place.node, place.epoch, place.seq, place.prev, EntryType.KEY, b"", commit(SALT, data))
    return sign_entry(signer, entry, salt=SALT, body=data, request_id=None)


class KeyChain:
    """The chain of NODE, whose entries beside KEY are checkpoints without meaning here."""

    def __init__(self, commitment: bytes = COMMITMENT, epoch: int = 1) -> None:
        self.entries: list[SignedEntry] = []
        self.commitment = commitment
        self.signer = FIRST
        self.epoch = bytes([epoch]) * 8
        self.add(FIRST, Genesis(NODE, commitment))

    @property
    def keys(self) -> list[SignedEntry]:
        """The KEY entries alone."""
        return [signed for signed in self.entries if signed.entry.type is EntryType.KEY]

    @property
    def history(self) -> KeyHistory:
        return fold_keys(NODE, self.keys)

    def place(self) -> Place:
        """Of the next entry in this epoch."""
        here = [signed for signed in self.entries if signed.entry.epoch == self.epoch]
        return Place(NODE, self.epoch, len(here), self.entries[-1].hash if self.entries else NO_HASH)

    def start(self, epoch: int) -> Place:
        """Of the next epoch's first entry."""
        return Place(NODE, bytes([epoch]) * 8, 0, self.entries[-1].hash)

    def closed(self) -> ClosedEpoch:
        """This epoch, should it end here."""
        return closed_by([signed for signed in self.entries if signed.entry.epoch == self.epoch])

    def add(self, signer: Signer, body: KeyBody, place: Place | None = None) -> SignedEntry:
        signed = signed_key(signer, place or self.place(), body)
        self.entries.append(signed)
        self.epoch = signed.entry.epoch
        return signed

    def grow(self, count: int = 1) -> None:
        """Entries that are none of KEY."""
        for _ in range(count):
            place = self.place()
            entry = Entry(1, *_fields(place), EntryType.CHECKPOINT, b"", commit(SALT, b""))
            self.entries.append(sign_entry(self.signer, entry, salt=SALT, body=b"", request_id=None))

    def rotation(self, new: Signer, **changed: bytes) -> Rotation:
        return replace(Rotation(new.public, self.commitment, consent_of(new, self.place(), self.commitment)), **changed)

    def rotate(self, new: Signer) -> SignedEntry:
        signed = self.add(self.signer, self.rotation(new))
        self.signer = new
        return signed

    def epoch_start(self) -> EpochStart:
        return EpochStart(self.signer.public, self.commitment, self.closed())

    def restart(self, epoch: int) -> SignedEntry:
        return self.add(self.signer, self.epoch_start(), self.start(epoch))

    def succession(self, new: Signer | None, epoch: int) -> Succession:
        if new is None:
            return Succession(b"", self.commitment, self.closed(), b"", OFFLINE.public)
        agreed = consent_of(new, self.start(epoch), self.commitment)
        return Succession(new.public, self.commitment, self.closed(), agreed, OFFLINE.public)

    def succeed(self, new: Signer | None, epoch: int) -> SignedEntry:
        signed = self.add(OFFLINE, self.succession(new, epoch), self.start(epoch))
        self.signer = new or self.signer
        return signed


def closed_by(entries: Sequence[SignedEntry]) -> ClosedEpoch:
    """How an epoch of these entries ends."""
    root = root_of(leaf_hash(signed.entry.payload) for signed in entries)
    return ClosedEpoch(entries[0].entry.epoch, len(entries), root)


def _fields(place: Place) -> tuple[bytes, bytes, int, bytes]:
    return place.node, place.epoch, place.seq, place.prev
