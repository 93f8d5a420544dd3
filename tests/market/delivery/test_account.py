from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.delivery import Account, replay
from market.delivery.account import (
    Disputed,
    Reckoned,
    dispute_for,
    disputed,
    interval_fault,
    opened,
    receipt_for,
    receipted,
    reckon,
)
from market.errors import Reason
from market.settlement import amounts, open_tally
from market.terms import Closed, Dispute, EntryBody, Offer, PriceKind, PriceStep
from market.units import MAX_ENERGY_WH
from tests.support.market_stages import AT_MS, AT_S, interval, receipt
from tests.support.market_terms import PROVIDER, digest, offer


def after_opening(offered: Offer | None = None) -> Account:
    account = receipted(opened(Account(offered or offer()), interval(0, 0, 5_000)), receipt(0, 70_000))
    assert isinstance(account, Account)
    return account


def next_receipt(account: Account, at_s: int, provider_wh: int, client_wh: int) -> Account:
    account = opened(account, interval(account.receipts, at_s, 5_000 + provider_wh))
    reckoned = reckon(account, 70_000 + client_wh)
    assert isinstance(reckoned, Reckoned)
    after = receipted(account, receipt_for(account, reckoned, PROVIDER, 70_000 + client_wh))
    assert isinstance(after, Account)
    return after


def test_nothing_is_owed_after_the_opening() -> None:
    account = after_opening()
    assert (account.receipts, account.agreed_wh, account.amounts_micro) == (1, 0, (0,))


def test_a_receipt_counts_what_the_reference_meter_shows() -> None:
    account = next_receipt(after_opening(), 60, 200, 195)
    assert (account.receipts, account.agreed_wh, account.amounts_micro) == (2, 200, (60_000,))
    assert account.matches(Closed(PROVIDER, AT_S, 2, 200, (60_000,)))
    assert not account.matches(Closed(PROVIDER, AT_S, 2, 200, (60_001,)))


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(-3, 3)), max_size=12))
def test_what_is_agreed_never_falls_and_costs_what_its_sum_costs(steps: list[tuple[int, int]]) -> None:
    account, at_s, provider_wh, client_wh = after_opening(), 0, 0, 0
    for risen_wh, off_wh in steps:
        at_s, provider_wh = at_s + 60, provider_wh + risen_wh
        client_wh = max(client_wh, provider_wh + off_wh)
        before, account = account, next_receipt(account, at_s, provider_wh, client_wh)
        assert account.agreed_wh >= before.agreed_wh
    assert account.agreed_wh == provider_wh
    assert sum(account.amounts_micro) == (provider_wh * 300_000 + 500) // 1_000


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (interval(2, 60, 5_100), Reason.OUT_OF_STEP),
        (interval(0, 60, 5_100), Reason.OUT_OF_STEP),
        (interval(1, 60, 4_999), Reason.REGISTER_ROLLBACK),
        (interval(1, 0, 5_100), Reason.METER_DISAGREEMENT),
    ],
)
def test_an_interval_has_to_follow_the_one_before(wrong: object, reason: Reason) -> None:
    assert interval_fault(after_opening(), wrong) is reason  # type: ignore[arg-type]


def test_only_one_interval_waits_at_a_time() -> None:
    account = opened(after_opening(), interval(1, 60, 5_100))
    assert interval_fault(account, interval(1, 120, 5_200)) is Reason.OUT_OF_STEP


def test_an_interval_may_end_at_a_tariff_edge_but_not_behind_it() -> None:
    minute = AT_MS // 60_000
    steps = (PriceStep(minute, 1), PriceStep(minute + 1, 2))
    account = after_opening(offer(price_kind=PriceKind.TIME_OF_USE, price_steps=steps))
    edge_s = ((minute + 1) * 60_000 - AT_MS) // 1_000
    assert interval_fault(account, interval(1, edge_s, 5_100)) is None
    assert interval_fault(account, interval(1, edge_s + 1, 5_100)) is Reason.METER_DISAGREEMENT


def test_meters_beyond_tolerance_are_disputed_and_never_below_the_last_receipt() -> None:
    account = next_receipt(after_opening(), 60, 200, 190)
    account = opened(account, interval(2, 120, 5_400))
    assert reckon(account, 70_000 + 300) == Disputed(400, 300, 300)
    assert reckon(account, 70_000 + 190) == Disputed(400, 190, 200)


@pytest.mark.parametrize(
    "wrong",
    [receipt(1, 70_200, 199, (59_700,)), receipt(1, 70_200, 200, (59_999,)), receipt(1, 69_999, 200, (60_000,))],
)
def test_a_receipt_that_says_something_else_does_not_count(wrong: object) -> None:
    account = opened(after_opening(), interval(1, 60, 5_200))
    found = receipted(account, wrong)  # type: ignore[arg-type]
    assert isinstance(found, Disputed)
    assert found.undisputed_wh <= 200


def test_a_dispute_settles_at_its_undisputed_part_on_both_sides() -> None:
    provider = opened(next_receipt(after_opening(), 60, 200, 200), interval(2, 120, 5_400))
    found = reckon(provider, 70_300)
    assert isinstance(found, Disputed)
    dispute = dispute_for(provider, found, PROVIDER)
    both = disputed(provider, dispute)
    assert both is not None
    assert (both.agreed_wh, both.amounts_micro, both.receipts) == (300, (90_000,), 2)
    assert disputed(both, dispute) is None


@given(st.integers(0, MAX_ENERGY_WH))
def test_a_dispute_takes_nothing_from_receipts_and_adds_nothing_to_what_was_signed(said_wh: int) -> None:
    account = next_receipt(next_receipt(after_opening(), 60, 200, 200), 120, 400, 400)
    after = disputed(account, Dispute(PROVIDER, AT_S, 2, 400, 400, said_wh))
    assert after is not None
    assert 200 <= after.agreed_wh <= 400
    assert after.receipts == 2


def test_a_dispute_of_another_interval_is_none_of_ours() -> None:
    account = next_receipt(after_opening(), 60, 200, 200)
    assert disputed(account, Dispute(PROVIDER, AT_S, 5, 0, 0, 0)) is None
    assert disputed(account, Dispute(PROVIDER, AT_S, 2, 0, 0, 0)) is None


def test_a_ledger_replayed_gives_the_account_that_was() -> None:
    account = next_receipt(after_opening(), 60, 200, 200)
    account = opened(account, interval(2, 120, 5_400), digest("open"))
    entries: list[tuple[EntryBody, bytes]] = [
        (interval(0, 0, 5_000), digest("a")),
        (receipt(0, 70_000), digest("b")),
        (interval(1, 60, 5_200), digest("c")),
        (receipt(1, 70_200, 1, (1,)), digest("forged")),
        (receipt(1, 70_200, 200, (60_000,)), digest("d")),
        (interval(2, 120, 5_400), digest("open")),
    ]
    again = replay(offer(), entries)
    assert replace(again, before=None) == replace(account, before=None)


def test_an_account_without_receipts_costs_nothing() -> None:
    assert Account(offer()).amounts_micro == ()
    assert amounts(offer(), open_tally(offer(), 0)) == after_opening().amounts_micro
