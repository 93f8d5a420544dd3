"""A quick look at our own chain: every payload by the hash that the next one names, every body by its commitment, and
the head by its signature, which so vouches for all before it.

Ten and more times as fast as `verify.verify`, and no substitute for it. Not looked at: what peers signed, messages,
postings, who answers what, what CHECKPOINT, WITNESS and FORK entries say, and whether columns beside a payload agree
with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, func, select

from ledger.audit.rows import Fault
from ledger.entry import NO_HASH, Entry, SignedEntry
from ledger.errors import BadCommitment, BadSignature, BrokenChain, Foreign, Gap, LedgerError
from ledger.keys.key_history import KeyHistory, fold_keys
from ledger.store import schema
from ledger.store.reader import LedgerReader
from ledger.store.statements import Prepared
from ledger.store.view import StoredEntry

PAGE_ROWS: Final = 1_000
"""Read at a time: a megabyte."""

_E: Final = schema.entry.c
_OWN: Final = (_E.node == bindparam("node")) & (_E.epoch == bindparam("epoch"))
_ROWS: Final = Prepared(
    select(_E.position, _E.seq, _E.payload, _E.salt, _E.body)
    .where(_OWN, _E.seq >= bindparam("first"), _E.seq < bindparam("end"))
    .order_by(_E.seq)
)
_EPOCHS: Final = Prepared(
    select(_E.epoch, func.max(_E.seq))
    .where(_E.node == bindparam("node"))
    .group_by(_E.epoch)
    .order_by(func.min(_E.position))
)

_HASH_BYTES: Final = 32
_HEAD_OF_HASH: Final = b"\x58\x20"  # a CBOR byte string of 32 (RFC 8949, 3.1)
_LEAST_BEHIND: Final = 1 + 2 * (2 + _HASH_BYTES)
"""Bytes behind the epoch: at least a short `seq`, `prev` and the commitment."""
_SHORT: Final = 24
"""Below, an integer is its own first byte; from there on 1, 2, 4 or 8 more follow (RFC 8949, 3.1)."""


@dataclass(frozen=True, slots=True)
class QuickReport:
    """How many entries of our own chain hold before the first fault, or in all; `adopted`: others of ours, shown back
    to us by peers, each by its own signature."""

    entries: int
    adopted: int
    head: Entry | None
    fault: Fault | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with what was looked at."""
        return self.fault is None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.fault is not None or self.head is None:
            return str(self.fault)
        shown = f", and {self.adopted} that peers have shown back to us" if self.adopted else ""
        return (
            f"{self.entries} entries of our own hold up to entry {self.head.seq} ({self.head.hash.hex()[:16]}…), which "
            f"is signed{shown}. Peers' entries, messages and postings were not looked at."
        )


class _Fault(Exception):
    def __init__(self, position: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault("entry", position, "payload", code, sentence)


def verify_quickly(reader: LedgerReader) -> QuickReport:
    """See the module. Raises nothing for what stands in the database, however damaged."""
    walk = _Walk(reader)
    fault = None
    try:
        walk.run()
    except _Fault as found:
        fault = found.fault
    except LedgerError as error:
        fault = Fault("entry", 0, "", error.code, str(error))
    return QuickReport(walk.entries, walk.adopted, walk.head, fault)


class _Walk:
    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._last = NO_HASH
        self.entries = self.adopted = 0
        self.head: Entry | None = None

    def run(self) -> None:
        node = self._reader.node
        keys = fold_keys(node, self._reader.key_entries(node))
        for epoch, newest in self._reader.rows(_EPOCHS, node=node):
            size = self._size(keys, epoch, newest + 1)
            self._walk(node, epoch, size)
            for stored in self._behind(node, epoch, size, newest):
                stored.signed.check(keys.signer_of(stored.signed, ours=True))
                self.adopted += 1
        self._check_head(keys)

    @staticmethod
    def _size(keys: KeyHistory, epoch: bytes, held: int) -> int:
        """How much of an epoch is our chain: all of the live one, what its successor says of an ended one, nothing of
        one that we forgot."""
        ended = keys.ended(epoch)
        return held if epoch == keys.live else 0 if ended is None else ended.size

    def _walk(self, node: bytes, epoch: bytes, size: int) -> None:
        begins = b"\x88\x01" + _HEAD_OF_HASH + node + b"\x48" + epoch
        at, last, digest = len(begins), self._last, hashlib.sha256
        expected = 0
        for first in range(0, size, PAGE_ROWS):
            end = min(size, first + PAGE_ROWS)
            for position, seq, payload, salt, body in self._reader.rows(
                _ROWS, node=node, epoch=epoch, first=first, end=end
            ):
                if seq != expected:
                    break
                if not payload.startswith(begins) or len(payload) < at + _LEAST_BEHIND:
                    raise _Fault(position, Foreign.code, f"entry {seq} is not of our chain and epoch")
                short = payload[at]
                behind = at + 1 if short < _SHORT else at + 1 + (1 << (short - _SHORT))
                if (
                    payload[behind : behind + 2] != _HEAD_OF_HASH
                    or payload[behind + 2 : behind + 2 + _HASH_BYTES] != last
                    or _integer(payload[at:behind]) != seq
                ):
                    raise _Fault(position, BrokenChain.code, f"entry {seq} does not follow the one before it")
                if body is not None and payload[-_HASH_BYTES:] != digest((salt or b"") + body).digest():
                    raise _Fault(position, BadCommitment.code, f"the body of entry {seq} is not what it commits to")
                last = digest(payload).digest()
                expected += 1
            if expected != end:
                raise _Fault(0, Gap.code, f"entry {expected} of our own is missing")
        self._last = last
        self.entries += size

    def _behind(self, node: bytes, epoch: bytes, size: int, newest: int) -> Iterator[StoredEntry]:
        """What we hold of an epoch behind the end that its successor names."""
        for seq in range(size, newest + 1):
            stored = self._reader.entry_at(node, epoch, seq)
            if stored is not None:
                yield stored

    def _check_head(self, keys: KeyHistory) -> None:
        head = self._reader.head()
        if head is None or head.hash != self._last:
            raise _Fault(0, BrokenChain.code, "our newest entry is not the end of our chain")
        signed: SignedEntry = head.signed
        try:
            signed.check(keys.signer_of(signed))
        except LedgerError as error:
            raise _Fault(head.position, BadSignature.code, f"our newest entry does not hold: {error}") from error
        self.head = head.entry


def _integer(head: bytes) -> int:
    """A CBOR integer of any length of head; one that is longer than it need be changes the hash anyway."""
    return head[0] if len(head) == 1 else int.from_bytes(head[1:], "big")
