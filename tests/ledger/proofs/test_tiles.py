"""A tree in tiles is the tree, whatever is in memory of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger.proofs.merkle import Tree, leaf_hash
from ledger.proofs.tiles import TILE_LEAVES, TiledTree

PART = 200
LEAVES = [leaf_hash(b"%d" % number) for number in range(5 * TILE_LEAVES + PART)]
WHOLE = Tree(LEAVES)
SIZES = [0, 1, 2, PART, TILE_LEAVES - 1, TILE_LEAVES, TILE_LEAVES + 1, 3 * TILE_LEAVES + 17, len(LEAVES)]


class Reads:
    """Leaves in a database that counts how many are read."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, first: int, number: int) -> Sequence[bytes]:
        self.count += number
        return LEAVES[first : first + number]


@pytest.mark.parametrize("size", SIZES)
def test_roots_and_proofs_are_the_trees(size: int) -> None:
    tiled = TiledTree(size, Reads())
    for each in (each for each in SIZES if each <= size):
        assert tiled.root(each) == WHOLE.root(each)
        assert tiled.consistency_proof(each) == WHOLE.consistency_proof(each, size)
        if each:
            assert tiled.inclusion_proof(each - 1) == WHOLE.inclusion_proof(each - 1, size)


def test_known_tiles_are_not_read_again() -> None:
    first = TiledTree(len(LEAVES), Reads())
    assert len(first.tiles) == 5
    reads = Reads()
    tiled = TiledTree(len(LEAVES), reads, first.tiles)
    assert tiled.root() == WHOLE.root()
    assert reads.count == PART
    assert tiled.inclusion_proof(2 * TILE_LEAVES + 5) == WHOLE.inclusion_proof(2 * TILE_LEAVES + 5)
    assert reads.count == PART + TILE_LEAVES


def test_what_is_kept_open_is_bounded() -> None:
    reads = Reads()
    tiled = TiledTree(len(LEAVES), reads)
    for index in range(0, len(LEAVES), 100):
        assert tiled.inclusion_proof(index) == WHOLE.inclusion_proof(index)
    assert reads.count > len(LEAVES)
