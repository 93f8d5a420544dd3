"""An older copy of a database takes nothing back that its owner signed, and makes nobody sign twice at one place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import delete, update

from ledger.accounts import Balance
from ledger.audit.verify import verify
from ledger.entry import Entry, EntryType, SignedEntry, commit, sign_entry
from ledger.errors import BadSignature, BeyondHead, Gap, TooLarge
from ledger.keys.bodies import ClosedEpoch, Place, Succession, consent_of, encode_key
from ledger.own.adoption import MAX_SHOWN, Adopted, KeptMessage, Shown, adopt
from ledger.own.key_changes import open_epoch, own_key_entries
from ledger.proofs.checkpoint import cosign
from ledger.proofs.proving import Cosignature, append_checkpoint, append_witness
from ledger.store import schema
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from tests.ledger import world
from tests.ledger.world import CLIENT, PROVIDER, REQUEST

T = TypeVar("T")
OWED = {("energy", "EUR"): Balance(3_000), ("peer", "EUR"): Balance(-3_000)}


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """With epochs and salts that no other opening has had."""
    with Ledger.open(path, CLIENT, posting_rule=world.rule) as ledger:
        yield ledger


def do(path: Path, step: Callable[[Transaction], T]) -> T:
    with opened(path) as ledger:
        return ledger.transact(step)


def remembered(path: Path) -> list[Shown]:
    """What the peer of the trade has: our KEY entries first, then the trade in its order."""
    with LedgerReader.open(path) as reader:
        kept = [KeptMessage(each.message, each.request_id) for each in reader.messages(REQUEST)]
        return [*own_key_entries(reader), *kept, *(stored.signed for stored in reader.entries(REQUEST))]


def ours(shown: list[Shown]) -> list[SignedEntry]:
    return [each for each in shown if isinstance(each, SignedEntry) and each.entry.node == CLIENT.public]


def fault(path: Path) -> str:
    with LedgerReader.open(path) as reader:
        return str(verify(reader, world.rule).fault or "")


def balances(path: Path) -> object:
    with LedgerReader.open(path) as reader:
        return reader.balances()


def adopted_by(path: Path, shown: list[Shown]) -> Adopted:
    return do(path, lambda tx: adopt(tx, shown))


def copy(path: Path, name: str) -> Path:
    """Of a closed database."""
    return Path(shutil.copy(path, path.with_name(name)))


@pytest.fixture
def young(tmp_path: Path) -> Path:
    """A copy from before the trade: a backup, or an SD card that takes back what it was told to keep."""
    path = tmp_path / "young"
    with opened(path):
        return path


@pytest.fixture
def grown(young: Path) -> Path:
    """The database as it went on from there."""
    path = copy(young, "grown")
    with opened(path) as ledger:
        world.trade(ledger)
    return path


def test_a_debt_that_a_copy_forgot_comes_back(young: Path, grown: Path) -> None:
    shown = remembered(grown)
    adopted = adopted_by(young, shown)
    assert adopted.opened is not None
    assert not adopted.refused
    assert adopted.ours == ours(shown)[1:]  # the genesis entry was not lost
    assert balances(young) == balances(grown) == OWED
    assert fault(young) == ""


def test_what_is_signed_afterwards_stands_in_an_epoch_that_the_copy_never_had(young: Path, grown: Path) -> None:
    adopted_by(young, remembered(grown))
    signed = do(young, lambda tx: tx.append(EntryType.PAY, b""))
    with LedgerReader.open(grown) as reader:
        assert not reader.holds_epoch(CLIENT.public, signed.entry.epoch)
    assert signed.entry.seq == 1
    assert fault(young) == ""


def test_the_same_copy_restored_twice(young: Path, grown: Path) -> None:
    """Each restore opens its own epoch; what was signed in the first one comes back to the second, and binds."""
    first, second = copy(young, "first"), copy(young, "second")
    for path in (first, second):
        do(path, open_epoch)
    adopted_by(first, remembered(grown))
    do(first, lambda tx: tx.append(EntryType.PAY, b"in the first restore"))
    with LedgerReader.open(first) as reader:
        after = [each.signed for each in reader.page() if each.own]
    adopted = adopted_by(second, [*remembered(grown), *after])
    assert not adopted.refused
    assert balances(second) == OWED
    assert fault(second) == ""
    epochs = {each.entry.epoch for each in [*ours(remembered(grown)), *after]}
    assert do(second, lambda tx: tx.append(EntryType.PAY, b"")).entry.epoch not in epochs


def test_a_second_batch_opens_no_second_epoch(young: Path, grown: Path) -> None:
    shown = remembered(grown)
    half = len(shown) // 2
    assert adopted_by(young, shown[:half]).opened is not None
    second = adopted_by(young, shown[half:])
    assert second.opened is None
    assert not second.refused
    assert adopted_by(young, shown) == Adopted()
    assert balances(young) == OWED
    assert fault(young) == ""


def test_a_peer_that_shows_nothing_or_what_we_hold_changes_nothing(grown: Path) -> None:
    before = grown.read_bytes()
    for shown in ([], remembered(grown)):
        assert adopted_by(grown, shown) == Adopted()
    assert grown.read_bytes() == before


def forgeries(head: SignedEntry) -> Iterator[SignedEntry]:
    """What a peer can make of our entries without our key."""
    entry, salt = head.entry, bytes(16)
    further = Entry(1, CLIENT.public, entry.epoch, entry.seq + 1, head.hash, EntryType.CHECKPOINT, b"", bytes(32))
    yield SignedEntry(further, head.signature, salt, b"", None)
    committed = Entry(1, CLIENT.public, bytes(8), 4, head.hash, EntryType.CHECKPOINT, b"", commit(salt, b"debt"))
    yield sign_entry(PROVIDER, committed, salt=salt, body=b"debt", request_id=None)
    yield SignedEntry(entry, bytes(64), head.salt, head.body, head.request_id)


def test_a_peer_that_forges_changes_nothing(grown: Path) -> None:
    before = balances(grown)
    head = do(grown, lambda tx: tx.head())
    assert head is not None
    for forged in forgeries(head.signed):
        adopted = adopted_by(grown, [forged])
        assert (adopted.opened, adopted.ours) == (None, [])
        assert [code for _, code, _ in adopted.refused] in (["bad_signature"], ["bad_commitment"])
    assert do(grown, lambda tx: tx.head()) == head
    assert balances(grown) == before


def succession(number: int) -> SignedEntry:
    """A revocation of our keys in the name of an offline key that our chain never named: its forger's own."""
    place = Place(CLIENT.public, number.to_bytes(8, "big"), 0, bytes([1]) * 32)
    agreed = consent_of(PROVIDER, place, bytes(32))
    closed = ClosedEpoch(bytes(8), 1, bytes(32))
    body = encode_key(Succession(PROVIDER.public, bytes(32), closed, agreed, PROVIDER.public))
    entry = Entry(1, CLIENT.public, place.epoch, 0, place.prev, EntryType.KEY, b"", commit(bytes(16), body))
    return sign_entry(PROVIDER, entry, salt=bytes(16), body=body, request_id=None)


def test_a_forged_revocation_of_ours_begins_no_epoch(grown: Path) -> None:
    head = do(grown, lambda tx: tx.head())
    adopted = adopted_by(grown, [succession(number) for number in range(5)])
    assert (adopted.opened, adopted.ours) == (None, [])
    assert [code for _, code, _ in adopted.refused] == ["broken_chain"] * 5
    assert do(grown, lambda tx: tx.head()) == head


def test_however_often_a_lost_entry_is_shown_one_epoch_begins(young: Path, grown: Path) -> None:
    """Else a peer could use up all that our keys may ever say."""
    do(grown, open_epoch)
    answers = world.offer().hash
    unfit = do(grown, lambda tx: tx.append(EntryType.VOID, b"void", answers=answers, request_id=REQUEST))
    keys = len(do(young, own_key_entries))
    adopted = adopted_by(young, [unfit] * 9)  # without the offer it can't be kept
    assert [code for _, code, _ in adopted.refused] == ["unanswered"] * 9
    assert len(do(young, own_key_entries)) == keys + 1


def test_nothing_is_put_into_a_live_epoch(young: Path, grown: Path) -> None:
    """Only `adopt`, which ends the epoch first, gets an entry of ours in."""
    lost = ours(remembered(grown))[1]
    with opened(young) as ledger:
        with pytest.raises(BeyondHead):
            ledger.transact(lambda tx: tx.receive(lost))
        with pytest.raises(BeyondHead):
            ledger.transact(lambda tx: tx.receive(lost, adopting=True))
        assert ledger.transact(lambda tx: tx.head().entry.seq if (tx.head()) else -1) == 0  # type: ignore[union-attr]


def test_a_copy_that_signed_on_unseen_is_told_so(young: Path, grown: Path) -> None:
    """Between the roll-back and the first peer that knows better it signed again: that is a fork, and ours."""
    do(young, lambda tx: tx.append(EntryType.PAY, b"signed twice"))
    adopted = adopted_by(young, remembered(grown))
    assert [fork.shown.entry.seq for fork in adopted.forks] == [1]
    assert adopted.opened is not None
    signed = do(young, lambda tx: tx.append(EntryType.PAY, b""))
    assert signed.entry.epoch == adopted.opened.entry.epoch
    assert fault(young) == ""


def test_a_trade_whose_beginning_is_not_shown_waits_for_it(young: Path, grown: Path) -> None:
    shown = remembered(grown)
    messages = [each for each in shown if isinstance(each, KeptMessage)]
    adopted = adopted_by(young, [each for each in shown if each not in messages])
    assert {code for _, code, _ in adopted.refused} >= {"unanswered"}
    adopted_by(young, shown)
    assert balances(young) == OWED
    assert fault(young) == ""


def test_so_much_is_shown_at_once_and_no_more(grown: Path) -> None:
    shown = remembered(grown)[:1] * (MAX_SHOWN + 1)
    with opened(grown) as ledger, pytest.raises(TooLarge):
        ledger.transact(lambda tx: adopt(tx, shown))


def test_what_a_peer_shows_of_its_own_is_kept_by_the_rules_for_peers(young: Path, grown: Path) -> None:
    theirs = [each for each in remembered(grown) if isinstance(each, SignedEntry) and each.entry.node != CLIENT.public]
    forged = SignedEntry(theirs[0].entry, bytes(64), theirs[0].salt, theirs[0].body, theirs[0].request_id)
    adopted = adopted_by(young, [forged])
    assert [code for _, code, _ in adopted.refused] == [BadSignature.code]


def test_a_cosignature_comes_back_without_the_checkpoint_that_nobody_else_holds(young: Path, grown: Path) -> None:
    """A peer is shown the note of a checkpoint, and of entries the one with its cosignature alone."""

    def cosigned(tx: Transaction) -> SignedEntry:
        held = append_checkpoint(tx)
        line = cosign(PROVIDER, PROVIDER.public, held.checkpoint, 1_800_000_000)
        return append_witness(tx, held.stored.hash, Cosignature(PROVIDER.public, line))

    witness = do(grown, cosigned)
    assert adopted_by(young, [*remembered(grown), witness]).ours[-1] == witness
    assert fault(young) == ""


@pytest.mark.parametrize("seq", [2, 3])
def test_deleting_from_the_middle_of_the_chain_is_found_and_no_adoption_hides_it(grown: Path, seq: int) -> None:
    """Whoever may write the file leaves a row out and makes all positions and running hashes fit again."""
    do(grown, open_epoch)
    with opened(grown) as ledger:
        connection, row = ledger._connection, schema.entry.c
        with connection.begin():
            lost = connection.execute(schema.entry.select().where(row.node == CLIENT.public, row.seq == seq)).one()
            connection.execute(delete(schema.posting))
            connection.execute(delete(schema.entry).where(row.position == lost.position))
            before = schema.NO_ARRIVAL
            for position, each in enumerate(connection.execute(schema.entry.select().order_by(row.position)).all(), 1):
                before = schema.arrival(before, position, each.payload, each.signature, each.request_id)
                change = update(schema.entry).where(row.position == each.position)
                connection.execute(change.values(position=position, arrival=before))
    assert Gap.code in fault(grown)
