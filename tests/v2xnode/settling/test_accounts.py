"""Twin of v2xnode/settling/accounts.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.terms import Interval, Means, Receipt
from tests.support.ledgers import NOW_S, PRICE, Book, Deal, street
from v2xnode.settling import nets, paying
from v2xnode.settling.accounts import AGE_NAMES, DAY_S, Account, accounts, owed_by_all

WH_MICRO = PRICE // 1000


def account(book: Book, now_s: int = NOW_S) -> Account:
    [found] = book.look(lambda view: accounts(view, now_s))
    return found


def later(*books: Book, days: int) -> None:
    for book in books:
        book.now_s += days * DAY_S


@pytest.mark.parametrize(
    ("days", "place"), [(0, 0), (30, 0), (31, 1), (60, 1), (61, 2), (90, 2), (91, 3), (4_000, 3), (-5, 0)]
)
def test_a_debt_ages_from_its_settlement_on(days: int, place: int) -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 100)
    for book, debt in ((provider, "to_us"), (client, "by_us")):
        found = getattr(account(book, NOW_S + days * DAY_S), debt)
        assert found.owed_micro == 100 * WH_MICRO
        assert found.since_s == NOW_S
        expected = [0] * len(AGE_NAMES)
        expected[place] = 100 * WH_MICRO
        assert found.ages_micro == tuple(expected)


def test_a_payment_pays_the_oldest_first() -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 100)
    later(provider, client, days=40)
    world.sells(provider, client, 50)
    got = 120 * WH_MICRO
    provider.run(lambda tx: paying.receive(tx, client.key, got, "EUR", Means.CASH, "", provider.now_s))
    found = account(provider, NOW_S + 80 * DAY_S).to_us
    assert (found.owed_micro, found.since_s) == (30 * WH_MICRO, NOW_S + 40 * DAY_S)
    assert found.ages_micro == (0, 30 * WH_MICRO, 0, 0)


def test_both_directions_stand_beside_each_other_until_they_are_netted() -> None:
    world = street()
    first, second = world.books
    world.sells(first, second, 100)
    world.sells(second, first, 30)
    found = account(first)
    assert (found.to_us.owed_micro, found.by_us.owed_micro) == (100 * WH_MICRO, 30 * WH_MICRO)
    assert found.net_micro == 70 * WH_MICRO == -account(second).net_micro
    first.run(lambda tx: nets.propose(tx, second.key, NOW_S))
    world.deliver()
    found = account(first)
    assert (found.to_us.owed_micro, found.by_us.owed_micro) == (70 * WH_MICRO, 0)
    assert found.as_json()["owed_by_us"] == {
        "owed_micro": 0,
        "pending_micro": 0,
        "since_s": None,
        "ages_micro": dict.fromkeys(AGE_NAMES, 0),
    }


def test_what_is_receipted_and_not_settled_is_pending_and_has_no_age() -> None:
    world = street()
    provider, client = world.books
    deal = Deal(provider, client, bytes(16))
    last = deal.agree()
    last = deal.writes(provider, Interval(client.key, 0, 1, 0), last)
    last = deal.writes(client, Receipt(provider.key, 0, 0), last)
    last = deal.writes(provider, Interval(client.key, 1, 2, 10), last)
    last = deal.writes(client, Receipt(provider.key, 1, 10, 10, (10 * WH_MICRO,)), last)
    found = account(client).by_us
    assert (found.owed_micro, found.pending_micro, found.since_s) == (0, 10 * WH_MICRO, 0)
    deal.writes(provider, Interval(client.key, 2, 3, 20), last)
    assert account(provider).to_us.pending_micro == 10 * WH_MICRO
    assert provider.look(lambda view: owed_by_all(view, "EUR")) == {client.key: 10 * WH_MICRO}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 60), st.integers(0, 100)), min_size=1, max_size=5))
def test_the_ages_together_are_what_is_owed(steps: list[tuple[int, int, int]]) -> None:
    world = street()
    provider, client = world.books
    for energy_wh, days, paid_percent in steps:
        world.sells(provider, client, energy_wh)
        later(provider, client, days=days)
        owed_micro = account(provider).to_us.owed_micro
        part_micro = owed_micro * paid_percent // 100
        if part_micro:
            provider.run(
                lambda tx, part=part_micro: paying.receive(  # type: ignore[misc]
                    tx, client.key, part, "EUR", Means.CASH, "", provider.now_s
                )
            )
        found = account(provider, provider.now_s).to_us
        assert sum(found.ages_micro) == found.owed_micro


def test_nobody_owes_anything_in_a_new_ledger() -> None:
    [book] = street(1).books
    assert book.look(lambda view: accounts(view, NOW_S)) == []
