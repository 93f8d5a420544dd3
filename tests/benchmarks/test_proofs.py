"""The benchmark compares the same trees, and finds proofs as long as they are."""

import pymerkle

from benchmarks.proofs import Untyped, measure_sizes, payloads, tables
from ledger.proofs.merkle import leaf_hash, root_of


def test_both_trees_are_the_same() -> None:
    data = payloads(100)
    theirs: Untyped = pymerkle.InmemoryTree
    assert theirs.init_from_entries(data, algorithm="sha256").get_root() == root_of(leaf_hash(each) for each in data)


def test_the_longest_proofs_are_found() -> None:
    assert measure_sizes(1) == (0, 0)
    assert measure_sizes(8) == (3, 4)
    assert measure_sizes(1_000) == (10, 11)


def test_every_table_has_its_rows() -> None:
    rates, hashing, in_ledger, sizes = tables(300, 20, 1, [8, 16])
    assert all(row.ours > 0 for table in (rates, hashing, in_ledger, sizes) for row in table.rows)
    assert [row.other is not None for row in rates.rows] == [True, True, True, False, False]
    assert len(sizes.rows) == 4
