"""The Merkle tree of RFC 9162, 2.1, with SHA-256: one root over a chain's entries, and short proofs about it.

A leaf is an entry's payload. Leaves are counted from 0; a tree of `size` leaves has the leaves 0 to size - 1. An
inclusion proof shows that a leaf is in the tree of a root, a consistency proof that a tree only grew. Both are lists
of hashes, as long as the tree is high (one more at most). Pure: nothing is kept here but hashes.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Final

from ledger.errors import BadProof, Misuse

HASH_BYTES: Final = 32

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of no leaves (RFC 9162, 2.1.1)."""

MAX_SIZE: Final = 2**63 - 1
"""Leaves of a tree: the most that a sequence number counts."""

MAX_PROOF_HASHES: Final = 64
"""A tree of MAX_SIZE is 63 levels high, and a consistency proof may have one hash more."""

_LEAF, _NODE = b"\x00", b"\x01"  # an inner node can't pass for a leaf (RFC 9162, 2.1.1)


def leaf_hash(payload: bytes) -> bytes:
    """SHA-256(0x00 || payload)."""
    return hashlib.sha256(_LEAF + payload).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(_NODE + left + right).digest()


class Frontier:
    """The roots of the whole subtrees that a growing tree ends with, one for each bit of its size.

    Enough to append and to know the root: a few hundred bytes for any size.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._peaks: list[bytes] = []
        self._size = 0
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash: two hashes on average, log2(size) at most."""
        peaks, size, top = self._peaks, self._size, leaf
        while size & 1:
            top = node_hash(peaks.pop(), top)
            size >>= 1
        peaks.append(top)
        self._size += 1

    def root(self) -> bytes:
        """Of all leaves so far."""
        return _folded(self._peaks)


class Subtrees(ABC):
    """Any root and any proof of any size so far, in log2(size) steps, out of the roots of whole subtrees."""

    __slots__ = ()

    @property
    @abstractmethod
    def size(self) -> int:
        """How many leaves there are."""

    @abstractmethod
    def subtree(self, height: int, index: int) -> bytes:
        """The root of the leaves index * 2^height to (index + 1) * 2^height - 1, which are all there."""

    def root(self, size: int | None = None) -> bytes:
        """Of the first `size` leaves, or of all. Raises Misuse for more than there are."""
        wanted = self.size if size is None else size
        _demand(0 <= wanted <= self.size, f"a tree of {self.size} has no root of {wanted}")
        return self._range(0, wanted)

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """PATH(index, D[size]) of RFC 9162, 2.1.3.1. Raises Misuse for a leaf that such a tree does not have."""
        wanted = self.size if size is None else size
        _demand(0 <= index < wanted <= self.size, f"a tree of {wanted} has no leaf {index}")
        path, _, _ = self._path(index + 1, wanted, lambda start, end: end - start == 1)
        return path

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """PROOF(old, D[size]) of RFC 9162, 2.1.4.1; nothing for an `old` of 0 or of `size`. Raises Misuse."""
        wanted = self.size if size is None else size
        _demand(0 <= old <= wanted <= self.size, f"no tree of {wanted} grew out of one of {old}")
        path, start, end = self._path(old, wanted, lambda start, end: old in (0, end))
        # a subtree that does not begin the tree can't be made of the old root: it stands in the proof itself
        return [self._range(start, end), *path] if start > 0 else path

    def _path(self, last: int, size: int, ends: Callable[[int, int], bool]) -> tuple[list[bytes], int, int]:
        """The siblings on the way from the root of `size` to the subtree with the leaf `last` - 1 where it ends."""
        path: list[bytes] = []
        start, end = 0, size
        while not ends(start, end):
            middle = start + _split(end - start)
            if last <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return path[::-1], start, end

    def _range(self, start: int, end: int) -> bytes:
        """The root of leaves start to end - 1, where start is a multiple of the whole subtrees in them."""
        if end > start and _is_whole(end - start):
            height = (end - start).bit_length() - 1
            return self.subtree(height, start >> height)
        peaks: list[bytes] = []
        while start < end:
            height = (end - start).bit_length() - 1
            peaks.append(self.subtree(height, start >> height))
            start += 1 << height
        return _folded(peaks)


class Tree(Subtrees):
    """The roots of all whole subtrees in memory, level by level: two hashes a leaf."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash."""
        for level in self._levels:
            level.append(leaf)
            if len(level) % 2:
                return
            leaf = node_hash(level[-2], leaf)
        self._levels.append([leaf])

    def subtree(self, height: int, index: int) -> bytes:
        return self._levels[height][index]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, over leaves' hashes."""
    return Frontier(leaves).root()


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Whether the leaf of that hash has place `index` in the tree (RFC 9162, 2.1.3.2). Raises BadProof."""
    _check_form([leaf, root, *proof])
    if not 0 <= index < size <= MAX_SIZE:
        raise BadProof(f"a tree of {size} has no leaf {index}")
    made, place, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise BadProof("the inclusion proof is too long")
        if place & 1 or place == last:
            made = node_hash(sibling, made)
            place, last = _up_from_the_right(place, last)
        else:
            made = node_hash(made, sibling)
        place, last = place >> 1, last >> 1
    if last != 0 or made != root:
        raise BadProof("the inclusion proof does not lead to the root")


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Whether the first `old` leaves of the tree are those of the old one (RFC 9162, 2.1.4.2). Raises BadProof.

    An old tree without leaves, and an equal one, are shown by their roots and an empty proof.
    """
    _check_form([old_root, root, *proof])
    if not 0 <= old <= size <= MAX_SIZE:
        raise BadProof(f"no tree of {size} grew out of one of {old}")
    if old in (0, size):
        if proof or old_root != (root if old else EMPTY_ROOT):
            raise BadProof(f"the roots of {old} and {size} leaves don't fit")
    elif _grown(old - 1, size - 1, [old_root, *proof] if _is_whole(old) else proof) != (old_root, root):
        raise BadProof("the consistency proof does not lead to both roots")


def _grown(place: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that the path makes, from the last leaf of each tree upwards."""
    if not path:
        raise BadProof("the consistency proof is empty")
    place, last = _up_to_a_left(place, last)
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise BadProof("the consistency proof is too long")
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            place, last = _up_from_the_right(place, last)
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise BadProof("the consistency proof is too short")
    return old, new


def _up_to_a_left(place: int, last: int) -> tuple[int, int]:
    """To the largest subtree that ends with the old tree's last leaf."""
    while place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _up_from_the_right(place: int, last: int) -> tuple[int, int]:
    """Over the levels at which the last subtree has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _folded(peaks: Sequence[bytes]) -> bytes:
    """One root of subtrees from left to right, the largest first."""
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks)) if peaks else EMPTY_ROOT


def _demand(condition: bool, sentence: str) -> None:
    if not condition:
        raise Misuse(sentence)


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _is_whole(size: int) -> bool:
    return size & (size - 1) == 0


def _check_form(hashes: Sequence[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise BadProof(f"a hash has {HASH_BYTES} bytes")
