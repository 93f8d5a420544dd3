"""Rotation, revocation and epochs in a real ledger, and in a peer's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from ledger.audit.verify import verify
from ledger.entry import EntryType, SignedEntry
from ledger.errors import BadSignature, KeyMissing, LedgerError, Misuse, Revoked, WrongOwner
from ledger.keys.bodies import ClosedEpoch, EpochStart, commitment_to, decode_key
from ledger.own.key_changes import open_epoch, own_key_entries, rotate, succeed
from ledger.proofs.merkle import leaf_hash, root_of
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from tests.ledger import world
from tests.ledger.key_world import COMMITMENT, FIRST, NODE, OFFLINE, OTHER, SECOND, THIRD
from tests.ledger.world import CLIENT

T = TypeVar("T")


def opened(path: Path, signer: Signer, commitment: bytes = COMMITMENT) -> Ledger:
    return Ledger.open(path, signer, posting_rule=world.rule, commitment=commitment)


def do(path: Path, signer: Signer, step: Callable[[Transaction], T]) -> T:
    with opened(path, signer) as ledger:
        return ledger.transact(step)


def note(tx: Transaction) -> SignedEntry:
    """An entry of no trade, whatever it says."""
    return tx.append(EntryType.PAY, b"paid")


def holds(path: Path) -> bool:
    with LedgerReader.open(path) as reader:
        return verify(reader, world.rule).ok


def peer_receives(path: Path, *entries: SignedEntry) -> None:
    with world.open_ledger(path, CLIENT) as ledger:
        for signed in entries:
            ledger.transact(lambda tx, signed=signed: tx.receive(signed))  # type: ignore[misc]


def shown(path: Path) -> list[SignedEntry]:
    with LedgerReader.open(path) as reader:
        return own_key_entries(reader)


def test_after_a_rotation_the_new_key_signs_at_once_and_after_a_restart(path: Path) -> None:
    with opened(path, FIRST) as ledger:
        ledger.transact(lambda tx: rotate(tx, SECOND))
        ledger.transact(note).check(SECOND.public)
        assert ledger.node == NODE
    do(path, SECOND, note).check(SECOND.public)
    assert holds(path)


def test_the_old_key_opens_nothing_any_more(path: Path) -> None:
    do(path, FIRST, lambda tx: rotate(tx, SECOND))
    with pytest.raises(KeyMissing):
        opened(path, FIRST)
    with pytest.raises(WrongOwner):
        opened(path, OTHER)


def test_a_rotation_that_is_rolled_back_did_not_happen(path: Path) -> None:
    def fail(tx: Transaction) -> None:
        rotate(tx, SECOND)
        raise ArithmeticError

    with opened(path, FIRST) as ledger:
        with pytest.raises(ArithmeticError):
            ledger.transact(fail)
        ledger.transact(note).check(FIRST.public)
    assert holds(path)


def test_a_peer_needs_the_key_entries_first(path: Path, tmp_path: Path) -> None:
    with opened(path, FIRST) as ledger:
        before = ledger.transact(note)
        ledger.transact(lambda tx: rotate(tx, SECOND))
        after = ledger.transact(note)
    peer = tmp_path / "peer"
    peer_receives(peer, before)
    with pytest.raises(BadSignature):
        peer_receives(peer, after)
    peer_receives(peer, *shown(path), after)
    assert holds(peer)


def test_an_offline_key_can_be_named_later_once(path: Path) -> None:
    with opened(path, FIRST, commitment=b"") as ledger:
        ledger.transact(lambda tx: rotate(tx, SECOND, COMMITMENT))
        assert ledger.transact(lambda tx: tx.keys_of(NODE).commitment) == COMMITMENT
        with pytest.raises(Misuse):
            ledger.transact(lambda tx: rotate(tx, THIRD, commitment_to(OTHER.public)))


def test_a_new_epoch_names_the_end_of_the_old_one(path: Path) -> None:
    with opened(path, FIRST) as ledger:
        ledger.transact(note)
        old = [stored.signed for stored in ledger.transact(lambda tx: tx.page())]
        start = ledger.transact(open_epoch)
        assert ledger.transact(note).entry.prev == start.hash
    root = root_of(leaf_hash(signed.entry.payload) for signed in old)
    assert decode_key(start.body) == EpochStart(NODE, COMMITMENT, ClosedEpoch(old[0].entry.epoch, 2, root))
    assert start.entry.prev == old[-1].hash
    assert holds(path)


def test_a_revoked_key_signs_nothing_that_counts(path: Path, tmp_path: Path) -> None:
    """A thief has the key and a copy of the ledger; the owner has the paper."""
    stolen, peer = tmp_path / "stolen", tmp_path / "peer"
    do(path, FIRST, note)
    stolen.write_bytes(path.read_bytes())
    early = do(stolen, FIRST, note)
    late = do(stolen, FIRST, note)
    peer_receives(peer, *shown(path), early)
    do(path, FIRST, lambda tx: succeed(tx, OFFLINE, SECOND, COMMITMENT))
    peer_receives(peer, *shown(path))
    with pytest.raises(Revoked):
        peer_receives(peer, late)
    peer_receives(peer, early)  # held before: it is not asked again
    peer_receives(peer, do(path, SECOND, note))
    assert holds(path)
    assert holds(peer)


def test_a_node_that_was_given_up_signs_nothing(path: Path) -> None:
    with opened(path, FIRST) as ledger:
        ledger.transact(lambda tx: succeed(tx, OFFLINE, None, COMMITMENT))
        with pytest.raises(KeyMissing):
            ledger.transact(note)
    with pytest.raises(KeyMissing):
        opened(path, FIRST)
    assert holds(path)


@pytest.mark.parametrize(
    "step",
    [
        lambda tx: rotate(tx, FIRST),
        lambda tx: succeed(tx, OTHER, SECOND, COMMITMENT),
        lambda tx: succeed(tx, OFFLINE, FIRST, COMMITMENT),
        lambda tx: tx.append(EntryType.KEY, b"no map"),
    ],
)
def test_what_the_rules_forbid_is_our_own_fault_and_changes_nothing(
    path: Path, step: Callable[[Transaction], object]
) -> None:
    with opened(path, FIRST) as ledger:
        head = ledger.transact(lambda tx: tx.head())
        with pytest.raises((Misuse, LedgerError)):
            ledger.transact(step)
        assert ledger.transact(lambda tx: tx.head()) == head
