"""Against published vectors, an independent implementation, and the laws of RFC 9162."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.errors import BadProof, Misuse
from ledger.proofs.merkle import (
    EMPTY_ROOT,
    MAX_PROOF_HASHES,
    Frontier,
    Tree,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The vectors of the reference implementations of Certificate Transparency (Apache-2.0): the leaves, roots and proofs
# of github.com/transparency-dev/merkle, proof/verify_test.go, and of the C++ and Go implementations before it.
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(each)
    for each in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
G = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSIONS = [  # index, size, proof
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, ROOTS[4].hex()]),
    (2, 3, [ROOTS[2].hex()]),
    (1, 5, [ROOTS[1].hex(), B, D]),
]
CONSISTENCIES = [  # old, size, proof
    (1, 1, []),
    (1, 8, [A, B, C]),
    (6, 8, [F, E, ROOTS[4].hex()]),
    (2, 5, [B, D]),
    (6, 7, [F, G, ROOTS[4].hex()]),
]
MANY = [leaf_hash(b"%d" % number) for number in range(70)]


def hashes(proof: list[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in proof]


def published() -> Tree:
    return Tree(leaf_hash(each) for each in LEAVES)


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_published_roots(size: int) -> None:
    assert published().root(size) == ROOTS[size]
    assert root_of(leaf_hash(each) for each in LEAVES[:size]) == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_published_inclusion_proofs(index: int, size: int, proof: list[str]) -> None:
    assert published().inclusion_proof(index, size) == hashes(proof)
    verify_inclusion(leaf_hash(LEAVES[index]), index, size, ROOTS[size], hashes(proof))


@pytest.mark.parametrize(("old", "size", "proof"), CONSISTENCIES)
def test_published_consistency_proofs(old: int, size: int, proof: list[str]) -> None:
    assert published().consistency_proof(old, size) == hashes(proof)
    verify_consistency(old, ROOTS[old], size, ROOTS[size], hashes(proof))


def test_roots_and_inclusion_are_those_of_pymerkle() -> None:
    untyped: Any = InmemoryTree
    theirs = untyped.init_from_entries(LEAVES * 9, algorithm="sha256")
    ours = Tree(leaf_hash(each) for each in LEAVES * 9)
    for size in range(1, ours.size + 1):
        assert ours.root(size) == theirs.get_root(size)
    for index in range(ours.size):
        path = theirs.prove_inclusion(index + 1, ours.size).path
        assert ours.inclusion_proof(index) == path[1:]


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_a_frontier_knows_the_root_of_the_tree(data: list[bytes]) -> None:
    tree, frontier = Tree(), Frontier()
    for number, each in enumerate(data, start=1):
        tree.append(leaf_hash(each))
        frontier.append(leaf_hash(each))
        assert frontier.size == tree.size == number
        assert frontier.root() == tree.root()
    assert Tree().root() == Frontier().root() == EMPTY_ROOT


sizes = st.integers(1, len(MANY))


@given(sizes.flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_every_leaf_is_shown_to_be_in_its_place_and_in_no_other(drawn: tuple[int, int]) -> None:
    size, index = drawn
    tree = Tree(MANY)
    root, proof = tree.root(size), tree.inclusion_proof(index, size)
    verify_inclusion(MANY[index], index, size, root, proof)
    for other in range(size):
        if other != index:
            refused_inclusion(MANY[index], other, size, root, proof)
    for another in range(index + 1, len(MANY)):
        if another != size:
            refused_inclusion(MANY[index], index, another, tree.root(another), proof)


@given(sizes.flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size))))
def test_every_tree_grew_out_of_every_smaller_one(drawn: tuple[int, int]) -> None:
    size, old = drawn
    tree = Tree(MANY)
    proof = tree.consistency_proof(old, size)
    verify_consistency(old, tree.root(old), size, tree.root(size), proof)
    forked = Tree([*MANY[: old // 2], leaf_hash(b"other"), *MANY[old // 2 + 1 :]])
    if old > 0:
        refused_consistency(old, forked.root(old), size, tree.root(size), proof)
        refused_consistency(old, tree.root(old), size, forked.root(size), forked.consistency_proof(old, size))
        refused_consistency(old, tree.root(old), size, forked.root(size), proof)


@given(sizes.flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size))))
def test_a_changed_proof_proves_nothing(drawn: tuple[int, int]) -> None:
    size, old = drawn
    tree = Tree(MANY)
    inclusion, consistency = tree.inclusion_proof(old - 1, size), tree.consistency_proof(old, size)
    for proof in wrong_proofs(inclusion, tree.root(size)):
        refused_inclusion(MANY[old - 1], old - 1, size, tree.root(size), proof)
    for proof in wrong_proofs(consistency, tree.root(size)):
        refused_consistency(old, tree.root(old), size, tree.root(size), proof)


def wrong_proofs(proof: list[bytes], root: bytes) -> list[list[bytes]]:
    changed = [[*proof[:at], bytes([each[0] ^ 8]) + each[1:], *proof[at + 1 :]] for at, each in enumerate(proof)]
    return [*changed, *([proof[:-1]] if proof else []), [*proof, root], [root, *proof], [*proof, b""], [b"", *proof]]


def refused_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: list[bytes]) -> None:
    with pytest.raises(BadProof):
        verify_inclusion(leaf, index, size, root, proof)


def refused_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: list[bytes]) -> None:
    with pytest.raises(BadProof):
        verify_consistency(old, old_root, size, root, proof)


def test_an_inner_node_does_not_pass_for_a_leaf() -> None:
    tree = Tree(MANY[:4])
    refused_inclusion(leaf_hash(MANY[0] + MANY[1]), 0, 2, tree.root(), [tree.root(2)])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (0, -1), (0, 2**63)])
def test_places_that_no_tree_has_prove_nothing(index: int, size: int) -> None:
    refused_inclusion(MANY[0], index, size, MANY[0], [])


@pytest.mark.parametrize(
    ("old", "size", "proof"),
    [(2, 1, []), (-1, 1, []), (1, 2**63, []), (1, 2, []), (0, 1, [EMPTY_ROOT]), (1, 1, [EMPTY_ROOT])],
)
def test_sizes_between_which_nothing_grew_prove_nothing(old: int, size: int, proof: list[bytes]) -> None:
    refused_consistency(old, MANY[0], size, MANY[0], proof)


def test_nothing_grew_out_of_an_empty_tree_with_a_root() -> None:
    verify_consistency(0, EMPTY_ROOT, 1, MANY[0], [])
    refused_consistency(0, MANY[0], 1, MANY[0], [])


def test_a_proof_does_not_go_on_above_the_root() -> None:
    above = node_hash(MANY[9], MANY[0])
    refused_inclusion(MANY[0], 0, 1, above, [MANY[9]])
    tree = Tree(MANY[:5])
    longer = [*tree.consistency_proof(3), MANY[9]]
    refused_consistency(3, node_hash(MANY[9], tree.root(3)), 5, node_hash(MANY[9], tree.root()), longer)


def test_a_proof_is_bounded() -> None:
    refused_inclusion(MANY[0], 0, 2**63 - 1, MANY[0], [MANY[0]] * (MAX_PROOF_HASHES + 1))
    refused_consistency(1, MANY[0], 2**63 - 1, MANY[0], [MANY[0]] * (MAX_PROOF_HASHES + 1))


@pytest.mark.parametrize("hash_", [b"", bytes(31), bytes(33)])
def test_a_hash_has_its_length(hash_: bytes) -> None:
    refused_inclusion(hash_, 0, 1, hash_, [])
    refused_consistency(1, hash_, 1, hash_, [])


def test_the_caller_asks_for_what_the_tree_has() -> None:
    tree = Tree(MANY[:3])
    for ask in (
        lambda: tree.root(4),
        lambda: tree.root(-1),
        lambda: tree.inclusion_proof(3),
        lambda: tree.inclusion_proof(2, 2),
        lambda: tree.inclusion_proof(0, 4),
        lambda: tree.consistency_proof(3, 2),
        lambda: tree.consistency_proof(-1),
        lambda: tree.consistency_proof(1, 4),
    ):
        with pytest.raises(Misuse):
            ask()
