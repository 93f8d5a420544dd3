"""What a witness cosigns, what it refuses, and what it keeps of those who tell two stories."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ledger.errors import BadProof, BadSignature, Forked, Full, LedgerError, Malformed, Misuse, Revoked, UnknownOrigin
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint, verify_cosignature, witness_of
from ledger.proofs.merkle import Tree, leaf_hash
from ledger.proofs.note import Note, NoteSignature
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from ledger.witnessing import witnessed
from ledger.witnessing.forks import fork_of, is_forked
from ledger.witnessing.witness import show
from ledger.witnessing.witnessed import remembered
from tests.ledger.hands import Where
from tests.ledger.key_world import FIRST, NODE, SECOND, KeyChain
from tests.ledger.world import CLIENT, EPOCH, PROVIDER, open_ledger

NOW_S = 1_800_000_000
HONEST = Tree(leaf_hash(b"%d" % number) for number in range(20))
OTHER = Tree(leaf_hash(b"%d" % (number if number < 5 else -number)) for number in range(20))


def note(size: int, tree: Tree = HONEST, signer: Signer = PROVIDER, epoch: bytes = EPOCH) -> Note:
    return sign_checkpoint(signer, Checkpoint(origin_of(signer.public, epoch), size, tree.root(size)))


def shown(ledger: Ledger, size: int, old: int = 0, tree: Tree = HONEST, epoch: bytes = EPOCH) -> NoteSignature | Note:
    proof = tree.consistency_proof(min(old, size), size)
    return ledger.transact(lambda tx: show(tx, note(size, tree, epoch=epoch), old, proof, NOW_S))


def cosigned(ledger: Ledger, size: int, old: int = 0, tree: Tree = HONEST) -> None:
    line = shown(ledger, size, old, tree)
    assert isinstance(line, NoteSignature)
    checkpoint = Checkpoint.parse(note(size, tree).text)
    assert verify_cosignature(checkpoint, line, CLIENT.public) == NOW_S
    assert witness_of(line.name) == CLIENT.public


def test_a_chain_that_grows_is_cosigned(ledger: Ledger) -> None:
    cosigned(ledger, 4)
    cosigned(ledger, 5, 4)
    cosigned(ledger, 17, 5)
    seen = ledger.transact(lambda tx: remembered(tx, PROVIDER.public, EPOCH))
    assert seen is not None
    assert (seen.size, seen.root, seen.note) == (17, HONEST.root(17), bytes(note(17)))
    assert seen.at_ms == NOW_S * 1_000


def test_the_same_is_cosigned_again(ledger: Ledger) -> None:
    cosigned(ledger, 4)
    cosigned(ledger, 4, 4)
    cosigned(ledger, 4)


def test_what_is_remembered_lasts(ledger: Ledger, where: Where) -> None:
    cosigned(ledger, 9)
    ledger.close()
    with open_ledger(where) as again:
        assert shown(again, 4) == note(9)


def test_a_smaller_one_is_answered_with_what_is_remembered(ledger: Ledger) -> None:
    cosigned(ledger, 9)
    for tree, old in itertools.product((HONEST, OTHER), (0, 8, 9)):
        assert shown(ledger, 8, old, tree) == note(9)
    assert not ledger.transact(lambda tx: is_forked(tx, PROVIDER.public))


def test_a_proof_begins_at_what_is_remembered(ledger: Ledger) -> None:
    cosigned(ledger, 9)
    for old in (0, 8, 10):
        assert shown(ledger, 12, old) == note(9)
    cosigned(ledger, 12, 9)


def test_another_history_is_not_cosigned_and_not_yet_a_fork(ledger: Ledger) -> None:
    cosigned(ledger, 9)
    with pytest.raises(BadProof):
        shown(ledger, 12, 9, OTHER)
    with pytest.raises(BadProof):
        ledger.transact(lambda tx: show(tx, note(12), 9, [], NOW_S))
    assert not ledger.transact(lambda tx: is_forked(tx, PROVIDER.public))
    cosigned(ledger, 12, 9)


def test_another_root_for_the_same_size_is_a_fork(ledger: Ledger) -> None:
    cosigned(ledger, 9)
    assert shown(ledger, 9, 9, OTHER) == note(9)
    held = ledger.transact(lambda tx: fork_of(tx, PROVIDER.public))
    assert held is not None
    assert held.proof.at == 9
    for size, tree in ((9, OTHER), (9, HONEST), (12, HONEST)):
        with pytest.raises(Forked):
            shown(ledger, size, 9, tree)


def test_the_cheat_s_other_epochs_are_not_cosigned_either(ledger: Ledger) -> None:
    cosigned(ledger, 9)
    shown(ledger, 9, 9, OTHER)
    with pytest.raises(Forked):
        shown(ledger, 3, epoch=bytes(8))


def test_epochs_are_told_apart(ledger: Ledger) -> None:
    cosigned(ledger, 9)
    assert isinstance(shown(ledger, 3, tree=OTHER, epoch=bytes(8)), NoteSignature)
    assert ledger.transact(lambda tx: remembered(tx, CLIENT.public, EPOCH)) is None


def test_only_the_node_s_own_signature_is_kept(ledger: Ledger) -> None:
    plain = note(4)
    line = cosign(CLIENT, CLIENT.public, Checkpoint.parse(plain.text), 1)
    ledger.transact(lambda tx: show(tx, Note(plain.text, (line, *plain.signatures)), 0, [], NOW_S))
    seen = ledger.transact(lambda tx: remembered(tx, PROVIDER.public, EPOCH))
    assert seen is not None
    assert seen.note == bytes(plain)


def wrong_notes() -> dict[str, tuple[type[LedgerError], Note]]:
    right = note(4)
    stranger = sign_checkpoint(PROVIDER, Checkpoint("example.com/log", 4, bytes(32)))
    by_another = replace(note(4, signer=CLIENT), text=right.text)
    return {
        "origin": (UnknownOrigin, stranger),
        "our_own": (Misuse, note(4, signer=CLIENT)),
        "changed": (BadSignature, replace(right, text=right.text.replace("\n4\n", "\n5\n"))),
        "another_key": (BadSignature, by_another),
        "no_checkpoint": (Malformed, replace(right, text="text\n")),
    }


@pytest.mark.parametrize("name", wrong_notes())
def test_what_is_no_checkpoint_of_a_peer_is_refused(ledger: Ledger, name: str) -> None:
    error, wrong = wrong_notes()[name]
    with pytest.raises(error):
        ledger.transact(lambda tx: show(tx, wrong, 0, [], NOW_S))
    assert ledger.transact(lambda tx: remembered(tx, PROVIDER.public, EPOCH)) is None


def test_nothing_is_remembered_of_what_was_rolled_back(ledger: Ledger) -> None:
    class Cut(Exception):
        pass

    def cut(tx: Transaction) -> None:
        show(tx, note(4), 0, [], NOW_S)
        raise Cut

    with pytest.raises(Cut):
        ledger.transact(cut)
    assert ledger.transact(lambda tx: remembered(tx, PROVIDER.public, EPOCH)) is None


@pytest.mark.parametrize("limit", ["MAX_EPOCHS", "MAX_WITNESSED"])
def test_what_is_remembered_is_bounded_and_nothing_is_forgotten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(witnessed, limit, 2)
    cosigned(ledger, 4)
    shown(ledger, 4, epoch=bytes(8))
    with pytest.raises(Full):
        shown(ledger, 4, epoch=bytes([1]) * 8)
    cosigned(ledger, 5, 4)


def test_the_key_of_the_place_signs_for_a_peer(ledger: Ledger) -> None:
    chain = KeyChain()
    chain.grow(2)
    chain.rotate(SECOND)
    by_first, by_second = (
        sign_checkpoint(signer, Checkpoint(origin_of(NODE, chain.epoch), size, HONEST.root(size)))
        for signer, size in ((FIRST, 3), (SECOND, 4))
    )
    with pytest.raises(BadSignature):
        ledger.transact(lambda tx: show(tx, by_second, 0, [], NOW_S))
    for signed in chain.keys:
        ledger.transact(lambda tx, signed=signed: tx.receive(signed))  # type: ignore[misc]
    proof = HONEST.consistency_proof(3, 4)
    for note, old in ((by_first, 0), (by_second, 3)):
        line = ledger.transact(lambda tx, note=note, old=old: show(tx, note, old, proof, NOW_S))  # type: ignore[misc]
        assert isinstance(line, NoteSignature)
    stale = sign_checkpoint(FIRST, Checkpoint(origin_of(NODE, chain.epoch), 5, HONEST.root(5)))
    with pytest.raises(BadSignature):
        ledger.transact(lambda tx: show(tx, stale, 4, HONEST.consistency_proof(4, 5), NOW_S))


@pytest.mark.parametrize("size", [2, 3])
def test_what_a_revoked_key_signed_is_not_witnessed_any_more(ledger: Ledger, size: int) -> None:
    chain = KeyChain()
    chain.grow(2)
    ended = sign_checkpoint(FIRST, Checkpoint(origin_of(NODE, chain.epoch), size, HONEST.root(size)))
    chain.succeed(SECOND, 2)
    for signed in chain.keys:
        ledger.transact(lambda tx, signed=signed: tx.receive(signed))  # type: ignore[misc]
    with pytest.raises(Revoked):
        ledger.transact(lambda tx: show(tx, ended, 0, [], NOW_S))
