"""A tree over entries that stay in the database: in memory is one hash for each 512 of them.

A *tile* is a whole subtree of TILE_LEAVES leaves. A proof reads the leaves of the few tiles that it goes through, and
takes the others' roots. Tiles never change once they are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from ledger.proofs.merkle import Subtrees, Tree

TILE_HEIGHT: Final = 9
TILE_LEAVES: Final = 1 << TILE_HEIGHT

_MAX_OPEN: Final = 4
"""Tiles whose leaves are kept while proofs are made: one goes through two, and two sizes end in one each."""

ReadLeaves: TypeAlias = Callable[[int, int], Sequence[bytes]]
"""(first, number) -> the hashes of so many leaves."""


class TiledTree(Subtrees):
    """`size` leaves that `read` gives. `tiles` are the roots of the first whole tiles, as far as they are known."""

    __slots__ = ("_open", "_read", "_size", "_tiles")

    def __init__(self, size: int, read: ReadLeaves, tiles: Iterable[bytes] = ()) -> None:
        self._size = size
        self._read = read
        self._open: dict[int, Tree] = {}
        self._tiles = Tree(tiles)
        for index in range(self._tiles.size, size >> TILE_HEIGHT):
            self._tiles.append(self._tile(index).root())

    @property
    def size(self) -> int:
        return self._size

    @property
    def tiles(self) -> Sequence[bytes]:
        """The roots of all whole tiles."""
        return [self._tiles.subtree(0, index) for index in range(self._tiles.size)]

    def subtree(self, height: int, index: int) -> bytes:
        if height >= TILE_HEIGHT:
            return self._tiles.subtree(height - TILE_HEIGHT, index)
        tile, within = divmod(index << height, TILE_LEAVES)
        return self._tile(tile).subtree(height, within >> height)

    def _tile(self, index: int) -> Tree:
        """The leaves of one tile, whole or not."""
        tile = self._open.get(index)
        if tile is None:
            if len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open)))
            first = index << TILE_HEIGHT
            tile = self._open[index] = Tree(self._read(first, min(TILE_LEAVES, self._size - first)))
        return tile
