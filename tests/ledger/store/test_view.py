"""Questions to a ledger."""

from __future__ import annotations

import pytest

from ledger.accounts import Balance, State
from ledger.entry import EntryType
from ledger.store.ledger import Ledger
from ledger.store.view import View
from tests.ledger.world import CLIENT, EPOCH, PROVIDER, REQUEST, Chain, offer, trade


def test_entries_are_found_by_hash_place_and_trade(ledger: Ledger) -> None:
    provider = trade(ledger, intervals=1)
    confirm = provider.entries[1]

    def look(view: View) -> None:
        found = view.entry(confirm.hash)
        assert found is not None
        assert (found.signed, found.own) == (confirm, False)
        assert view.entry_at(PROVIDER.public, EPOCH, 1) == found
        assert view.hash_at(PROVIDER.public, EPOCH, 1) == confirm.hash
        assert view.hash_at(PROVIDER.public, EPOCH, 99) is None
        assert view.entry(bytes(32)) is None
        of_trade = view.entries(REQUEST)
        assert found in of_trade
        assert view.entries(REQUEST, before=found.position) == of_trade[: of_trade.index(found)]
        assert view.entries(bytes(16)) == []

    ledger.transact(look)


def test_pages_run_through_everything_once(ledger: Ledger) -> None:
    trade(ledger, intervals=3)

    def read(view: View) -> list[int]:
        positions: list[int] = []
        while page := view.page(after=positions[-1] if positions else 0, limit=4):
            positions += [entry.position for entry in page]
        return positions

    positions = ledger.transact(read)
    assert positions == list(range(1, len(positions) + 1))
    assert len(positions) > 8


def test_messages_are_found_by_hash_and_trade(ledger: Ledger) -> None:
    trade(ledger)
    kept = ledger.transact(lambda tx: tx.message(offer().hash))
    assert kept is not None
    assert kept.message == offer()
    assert ledger.transact(lambda tx: tx.message_page()) == [kept]
    assert ledger.transact(lambda tx: tx.message(bytes(32))) is None


def test_the_newest_of_a_peer_is_the_highest_in_its_last_epoch(ledger: Ledger) -> None:
    old, new = Chain(), Chain(epoch=bytes([1]) * 8)
    late = old.add(EntryType.INTERVAL, b"late")
    newer = new.add(EntryType.INTERVAL, b"")
    for signed in (old.entries[0], new.entries[0], newer, late):
        ledger.transact(lambda tx, signed=signed: tx.receive(signed))  # type: ignore[misc]
    assert ledger.transact(lambda tx: tx.newest_of(PROVIDER.public)) == (new.epoch, 1)
    assert ledger.transact(lambda tx: tx.newest_of(bytes(32))) is None


def test_the_head_is_our_own_newest(ledger: Ledger) -> None:
    trade(ledger)
    head = ledger.transact(lambda tx: tx.head())
    assert head is not None
    assert head.own
    assert (head.type, head.entry.node) == (EntryType.CLOSE, CLIENT.public)


def test_balances_of_all_and_of_one(ledger: Ledger) -> None:
    trade(ledger, intervals=2)
    balances = ledger.transact(lambda tx: tx.balances())
    assert balances == {("energy", "EUR"): Balance(3_000, 0), ("peer", "EUR"): Balance(-3_000, 0)}
    assert ledger.transact(lambda tx: tx.balance("nobody", "EUR")) == Balance()
    assert ledger.transact(lambda tx: tx.balances(kind="peer")) == {}


def test_the_movements_of_an_account_come_in_order_with_their_entries(ledger: Ledger) -> None:
    trade(ledger, intervals=2)
    found = ledger.transact(lambda tx: tx.movements("peer"))
    assert [(each.state, each.amount_micro) for each in found] == [
        (State.PENDING, -1_500),
        (State.PENDING, -1_500),
        (State.VOID, -3_000),
        (State.POSTED, -3_000),
    ]
    assert [each.stored.type for each in found[2:]] == [EntryType.CLOSE, EntryType.CLOSE]
    assert ledger.transact(lambda tx: tx.movements("peer", after=found[0].place)) == found[1:]


@pytest.mark.parametrize("name", ["limits", ""])
def test_a_document_that_was_never_put_is_none(ledger: Ledger, name: str) -> None:
    assert ledger.transact(lambda tx: tx.get(name)) is None
