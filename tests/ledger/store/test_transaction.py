"""Each step of writing: what it promises and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.accounts import Balance, Posting, State
from ledger.audit.verify import verify
from ledger.entry import EntryType, SignedEntry
from ledger.errors import (
    BadSignature,
    BeyondHead,
    BrokenChain,
    Fork,
    Full,
    LedgerError,
    Malformed,
    Misuse,
    StoreFailed,
    Unanswered,
    Unbalanced,
)
from ledger.store import transaction
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from ledger.store.view import Lock, StoredEntry
from tests.ledger import world
from tests.ledger.hands import Where
from tests.ledger.world import CLIENT, PROVIDER, REQUEST, Chain, keep, offer, open_ledger, trade

OTHER = bytes([8]) * 16


def receive(ledger: Ledger, signed: SignedEntry) -> bool:
    return ledger.transact(lambda tx: tx.receive(signed))


def appended(ledger: Ledger) -> SignedEntry:
    return ledger.transact(lambda tx: tx.append(EntryType.INTERVAL, b"", request_id=REQUEST))


def test_a_whole_trade_chains_both_sides_and_its_money(ledger: Ledger) -> None:
    trade(ledger, intervals=3)
    stored = ledger.transact(lambda tx: tx.entries(REQUEST))
    assert [entry.own for entry in stored] == [True, False] + [False, True] * 3 + [True, False]
    assert ledger.transact(lambda tx: tx.balance("energy", "EUR")) == Balance(3 * world.RECEIPT_MICRO, 0)
    assert ledger.transact(lambda tx: tx.balance("peer", "EUR")) == Balance(-3 * world.RECEIPT_MICRO, 0)


@pytest.mark.parametrize(
    ("type_", "fields"),
    [
        (EntryType.INTERVAL, {}),
        (EntryType.NET, {"request_id": REQUEST}),
        (EntryType.INTERVAL, {"request_id": b"short"}),
        (EntryType.RECEIPT, {"request_id": REQUEST}),
        (EntryType.RECEIPT, {"request_id": REQUEST, "answers": bytes(32)}),
        (EntryType.INTERVAL, {"request_id": REQUEST, "answers": bytes(32)}),
        (EntryType.INTERVAL, {"request_id": REQUEST, "answers": bytes(5)}),
    ],
)
def test_what_the_rules_forbid_is_not_signed(ledger: Ledger, type_: EntryType, fields: dict[str, bytes]) -> None:
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.append(type_, b"", **fields))
    assert appended(ledger).entry.seq == 1


def test_a_body_too_long_is_not_signed(ledger: Ledger) -> None:
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.append(EntryType.NET, bytes(1025)))


def test_there_is_one_genesis(ledger: Ledger) -> None:
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.append_genesis(b""))


def test_an_answer_belongs_to_the_same_trade(ledger: Ledger) -> None:
    keep(ledger, offer())
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.append(EntryType.ACCEPT, b"", answers=offer().hash, request_id=OTHER))
    ledger.transact(lambda tx: tx.append(EntryType.ACCEPT, b"", answers=offer().hash, request_id=REQUEST))


def test_receiving_twice_changes_nothing(ledger: Ledger) -> None:
    genesis = Chain().entries[0]
    assert receive(ledger, genesis)
    assert not receive(ledger, genesis)
    assert len(ledger.transact(lambda tx: tx.page())) == 2


def test_a_fork_is_refused_with_its_proof(ledger: Ledger) -> None:
    chain = Chain()
    first, second = chain.make(EntryType.INTERVAL, b"one"), chain.make(EntryType.INTERVAL, b"two")
    receive(ledger, first)
    with pytest.raises(Fork) as caught:
        receive(ledger, second)
    assert (caught.value.held, caught.value.shown) == (first, second)
    assert ledger.transact(lambda tx: tx.newest_of(PROVIDER.public)) == (world.EPOCH, 1)


def test_pieces_of_a_peers_chain_come_in_any_order_but_fit(ledger: Ledger) -> None:
    chain = Chain()
    entries = [*chain.entries, *(chain.add(EntryType.INTERVAL, b"%d" % n) for n in range(4))]
    for number in (4, 2, 3, 0, 1):
        assert receive(ledger, entries[number])
    stray = Chain()
    stray.add(EntryType.INTERVAL, b"another past")
    with pytest.raises(Fork):
        receive(ledger, stray.entries[1])


def test_an_entry_that_does_not_fit_its_neighbours_is_refused(ledger: Ledger) -> None:
    chain, stray = Chain(), Chain()
    receive(ledger, chain.add(EntryType.INTERVAL, b"one"))
    stray.add(EntryType.INTERVAL, b"other")
    with pytest.raises(BrokenChain):
        receive(ledger, stray.add(EntryType.INTERVAL, b"two"))


def test_an_entry_of_ours_that_we_do_not_hold_shows_an_old_copy(ledger: Ledger) -> None:
    genesis = ledger.transact(lambda tx: tx.head())
    assert genesis is not None
    assert not receive(ledger, genesis.signed)
    ours = Chain(CLIENT, genesis.entry.epoch)
    with pytest.raises(BeyondHead):
        receive(ledger, ours.add(EntryType.INTERVAL, b""))
    with pytest.raises(Fork):
        receive(ledger, ours.entries[0])


def test_a_spoilt_signature_is_refused(ledger: Ledger) -> None:
    good = Chain().entries[0]
    with pytest.raises(BadSignature):
        receive(ledger, SignedEntry(good.entry, bytes(64), good.salt, good.body, None))


def test_an_answer_to_something_unknown_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Unanswered):
        receive(ledger, Chain().make(EntryType.CONFIRM, b"", answers=bytes([1]) * 32))


def test_the_posting_rule_can_refuse_what_a_peer_sends(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="bad body"):
        receive(ledger, Chain().make(EntryType.INTERVAL, b"bad"))
    assert ledger.transact(lambda tx: tx.newest_of(PROVIDER.public)) is None


def test_a_refusal_that_is_caught_leaves_nothing_and_the_rest_goes_on(ledger: Ledger, where: Where) -> None:
    trade(ledger, intervals=1)

    def go_on(tx: Transaction) -> None:
        with pytest.raises(ValueError, match="bad body"):
            tx.append(EntryType.INTERVAL, b"bad", request_id=REQUEST)
        tx.append(EntryType.CLOSE, b"again", request_id=REQUEST)

    ledger.transact(go_on)
    assert all(stored.body != b"bad" for stored in ledger.transact(lambda tx: tx.page()))
    with LedgerReader.open(where) as reader:
        assert verify(reader, world.rule).ok


def test_a_failed_write_that_is_caught_rolls_everything_back(ledger: Ledger) -> None:
    def go_on(tx: Transaction) -> None:
        tx.put("limits", b"x")
        with pytest.raises(StoreFailed):
            tx.outbox_add(PROVIDER.public, Chain().entries[0])

    with pytest.raises(StoreFailed):
        ledger.transact(go_on)
    assert ledger.transact(lambda tx: tx.get("limits")) is None


def test_postings_that_do_not_balance_are_not_kept(tmp_path: Path) -> None:
    def lopsided(before: None, new: StoredEntry) -> tuple[None, list[Posting]]:
        return None, [Posting("a", "EUR", 1, State.POSTED)] if new.type is EntryType.INTERVAL else []

    with Ledger.open(tmp_path / "lopsided", CLIENT, posting_rule=lopsided) as ledger:
        with pytest.raises(Unbalanced):
            appended(ledger)
        assert len(ledger.transact(lambda tx: tx.page())) == 1


def test_a_message_is_kept_once_and_checked(ledger: Ledger) -> None:
    assert keep(ledger, offer())
    assert not keep(ledger, offer())
    with pytest.raises(Malformed):
        keep(ledger, offer(price=5), OTHER)
    kept = ledger.transact(lambda tx: tx.messages(REQUEST))
    assert [stored.message for stored in kept] == [offer()]


def test_the_outbox_holds_until_acknowledged_oldest_first(ledger: Ledger) -> None:
    entries = [appended(ledger) for _ in range(3)]

    def add(tx: Transaction) -> None:
        for signed in entries:
            tx.outbox_add(PROVIDER.public, signed)
        tx.outbox_add(PROVIDER.public, entries[0])
        tx.outbox_add(CLIENT.public, entries[2])

    ledger.transact(add)
    assert [row.signed for row in ledger.transact(lambda tx: tx.outbox(PROVIDER.public))] == entries
    assert len(ledger.transact(lambda tx: tx.outbox())) == 4
    ledger.transact(lambda tx: tx.outbox_done(entries[0].hash))
    ledger.transact(lambda tx: tx.outbox_done(entries[0].hash))
    assert [row.signed for row in ledger.transact(lambda tx: tx.outbox(PROVIDER.public))] == entries[1:]


def test_what_one_peer_acknowledges_is_still_told_to_another(ledger: Ledger) -> None:
    """The hash of an entry is no secret: it is `prev` of the next, whoever gets that."""
    signed = appended(ledger)
    ledger.transact(lambda tx: tx.outbox_add(PROVIDER.public, signed))
    ledger.transact(lambda tx: tx.outbox_done(signed.hash, peer=CLIENT.public))
    assert [row.signed for row in ledger.transact(lambda tx: tx.outbox(PROVIDER.public))] == [signed]
    ledger.transact(lambda tx: tx.outbox_done(signed.hash, peer=PROVIDER.public))
    assert ledger.transact(lambda tx: tx.outbox()) == []


def test_the_outbox_is_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "MAX_OUTBOX", 1)
    signed = appended(ledger)
    ledger.transact(lambda tx: tx.outbox_add(PROVIDER.public, signed))
    with pytest.raises(Full):
        ledger.transact(lambda tx: tx.outbox_add(CLIENT.public, signed))


def test_the_outbox_takes_only_what_is_held(ledger: Ledger) -> None:
    with pytest.raises(LedgerError):
        ledger.transact(lambda tx: tx.outbox_add(PROVIDER.public, Chain().entries[0]))
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.outbox_add(b"name", Chain().entries[0]))


def test_locks_are_held_replaced_and_released_by_trade(ledger: Ledger) -> None:
    def take(tx: Transaction) -> None:
        tx.lock(REQUEST, "energy", 100, 5, 9)
        tx.lock(REQUEST, "energy", 200, 5, 9)
        tx.lock(REQUEST, "connector", 1, 5, 9)
        tx.lock(OTHER, "energy", 300, 1, 2)

    ledger.transact(take)
    mine = {Lock(REQUEST, "connector", 1, 5, 9), Lock(REQUEST, "energy", 200, 5, 9)}
    assert ledger.transact(lambda tx: tx.locks())[0] == Lock(OTHER, "energy", 300, 1, 2)
    assert set(ledger.transact(lambda tx: tx.unlock(REQUEST))) == mine
    assert ledger.transact(lambda tx: tx.unlock(REQUEST)) == []
    assert len(ledger.transact(lambda tx: tx.locks())) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        (b"short", "energy", 1, 0, 1),
        (REQUEST, "", 1, 0, 1),
        (REQUEST, "energy", -1, 0, 1),
        (REQUEST, "energy", 2**63, 0, 1),
        (REQUEST, "energy", 1, 1, 1),
        (REQUEST, "energy", 1, 0, 2**63),
    ],
)
def test_a_lock_of_the_wrong_form_is_refused(ledger: Ledger, wrong: tuple[bytes, str, int, int, int]) -> None:
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.lock(*wrong))


def test_documents_are_replaced_whole(ledger: Ledger) -> None:
    ledger.transact(lambda tx: tx.put("limits", b"one"))
    ledger.transact(lambda tx: tx.put("limits", b"two"))
    assert ledger.transact(lambda tx: tx.get("limits")) == b"two"
    ledger.transact(lambda tx: tx.drop("limits"))
    assert ledger.transact(lambda tx: tx.get("limits")) is None
    with pytest.raises(Misuse):
        ledger.transact(lambda tx: tx.put("large", bytes(transaction.MAX_DOCUMENT_BYTES + 1)))


def test_both_sides_of_a_trade_can_be_kept_by_the_real_thing(ledger: Ledger, tmp_path: Path) -> None:
    with open_ledger(tmp_path / "provider", PROVIDER) as provider:
        for one, other in ((ledger, provider), (provider, ledger)):
            keep(one, offer())
            head = other.transact(lambda tx: tx.head())
            assert head is not None
            receive(one, head.signed)
        accept = ledger.transact(lambda tx: tx.append(EntryType.ACCEPT, b"", answers=offer().hash, request_id=REQUEST))
        receive(provider, accept)
        confirm = provider.transact(
            lambda tx: tx.append(EntryType.CONFIRM, b"", answers=accept.hash, request_id=REQUEST)
        )
        assert receive(ledger, confirm)


def test_dropped_bodies_are_of_one_trade_and_for_good(ledger: Ledger) -> None:
    trade(ledger)
    before = ledger.transact(lambda tx: tx.page(limit=100))
    ledger.transact(lambda tx: tx.drop_bodies(REQUEST))
    after = ledger.transact(lambda tx: tx.page(limit=100))
    assert [each.hash for each in after] == [each.hash for each in before]
    assert [each.pruned for each in after] == [each.request_id == REQUEST for each in before]
    assert all((each.body, each.signed.salt) == (b"", b"") for each in after if each.pruned)
    assert ledger.transact(lambda tx: tx.balance("peer", "EUR")) == Balance(-2 * world.RECEIPT_MICRO, 0)
