"""Twin of market/settlement.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import TermsInvalid
from market.settlement import (
    Agreed,
    Disagreement,
    LineKind,
    PriceLine,
    Tally,
    add,
    agree,
    amounts,
    loss_wh,
    next_tariff_edge_ms,
    next_tier_wh,
    open_tally,
    price_lines,
    tax_micro,
    tolerance_wh,
    total,
)
from market.terms import Fee, FeeKind, LossRule, Offer, PriceKind, Tolerance
from market.units import MS_PER_HOUR, MS_PER_MINUTE, Role
from tests.market.world import offer, priced, reference_offer

FEES = (Fee(FeeKind.SESSION, 500_000), Fee(FeeKind.TRAVEL, 250_000))
EDGE = 29_666_700
EDGE_MS = EDGE * MS_PER_MINUTE
TWO_TARIFFS = priced(PriceKind.TIME_OF_USE, (EDGE - 60, 200_000), (EDGE, 400_000))
THREE_TIERS = priced(PriceKind.TIERED, (0, 400_000), (1_000, 300_000), (5_000, 100_001))


def folded(terms: Offer, ends: list[tuple[int, int]], start_ms: int = 0) -> Tally:
    tally = open_tally(terms, start_ms)
    for end_ms, agreed_wh in ends:
        tally = add(terms, tally, end_ms, agreed_wh)
    return tally


def test_lines_follow_steps_then_fees_then_tax() -> None:
    terms = priced(PriceKind.TIERED, (0, 400_000), (1_000, 300_000), fees=FEES, tax_permyriad=1_900)
    assert price_lines(terms) == (
        PriceLine(LineKind.ENERGY, "energy from 0 Wh", 400_000),
        PriceLine(LineKind.ENERGY, "energy from 1000 Wh", 300_000),
        PriceLine(LineKind.SESSION_FEE, "session fee", 500_000),
        PriceLine(LineKind.TRAVEL_FEE, "travel fee", 250_000),
        PriceLine(LineKind.TAX, "tax", 1_900),
    )


def test_a_plain_offer_has_one_line() -> None:
    assert price_lines(offer()) == (PriceLine(LineKind.ENERGY, "energy", 300_000),)


def test_a_tariff_line_says_from_when_it_counts() -> None:
    assert price_lines(TWO_TARIFFS)[1].label == "energy from 2026-05-28 21:00 UTC"


def test_amounts_are_rounded_half_up_once() -> None:
    terms = priced(PriceKind.FIXED, (0, 1_500))
    assert amounts(terms, folded(terms, [(1, 1)])) == (2,)
    assert amounts(terms, folded(terms, [(1, 1), (2, 2), (3, 3)])) == (5,)


def test_fees_and_tax_are_due_with_the_first_energy_only() -> None:
    terms = offer(fees=FEES, tax_permyriad=1_900)
    nothing = folded(terms, [(1_000, 0)])
    assert amounts(terms, nothing) == (0, 0, 0, 0)
    first = amounts(terms, folded(terms, [(1_000, 1)]))
    assert first == (300, 500_000, 250_000, 142_557)
    assert total(first) == 892_857


def test_tax_is_rounded_half_up() -> None:
    assert [tax_micro(net, 5_000) for net in (0, 1, 2, 3)] == [0, 1, 1, 2]


def test_tiers_are_split_at_their_edges() -> None:
    assert folded(THREE_TIERS, [(1, 999)]).line_wh == (999, 0, 0)
    assert folded(THREE_TIERS, [(1, 6_500)]).line_wh == (1_000, 4_000, 1_500)


def test_an_interval_costs_the_tariff_that_it_began_in() -> None:
    tally = folded(TWO_TARIFFS, [(EDGE_MS, 700), (EDGE_MS + 1_000, 1_000)], start_ms=EDGE_MS - 60_000)
    assert tally == Tally((700, 300), 1_000, EDGE_MS + 1_000)


def test_before_the_first_tariff_edge_its_price_counts() -> None:
    assert folded(TWO_TARIFFS, [(2, 5)], start_ms=1).line_wh == (5, 0)


@pytest.mark.parametrize(("end_ms", "agreed_wh", "field"), [(99, 50, "at_ms"), (100, 49, "agreed_wh")])
def test_nothing_runs_backwards(end_ms: int, agreed_wh: int, field: str) -> None:
    tally = folded(offer(), [(100, 50)])
    with pytest.raises(TermsInvalid) as refused:
        add(offer(), tally, end_ms, agreed_wh)
    assert refused.value.field == field


CUTS = st.lists(st.integers(0, 10_000), max_size=30).map(sorted)


@given(cuts=CUTS, final_wh=st.integers(0, 10_000), terms=st.sampled_from([offer(fees=FEES), THREE_TIERS]))
def test_the_number_of_intervals_moves_no_money(cuts: list[int], final_wh: int, terms: Offer) -> None:
    ends = [(at, min(wh, final_wh)) for at, wh in enumerate(cuts)] + [(100, final_wh)]
    assert amounts(terms, folded(terms, ends)) == amounts(terms, folded(terms, [(100, final_wh)]))


@given(before=CUTS, after=CUTS)
def test_within_a_tariff_the_number_of_intervals_moves_no_money(before: list[int], after: list[int]) -> None:
    start_ms, at_edge_wh = EDGE_MS - 40, 10_000
    many = [(start_ms + at, wh) for at, wh in enumerate(before)] + [(EDGE_MS, at_edge_wh)]
    many += [(EDGE_MS + at, at_edge_wh + wh) for at, wh in enumerate(after)] + [(EDGE_MS + 40, 2 * at_edge_wh)]
    few = [(EDGE_MS, at_edge_wh), (EDGE_MS + 40, 2 * at_edge_wh)]
    assert folded(TWO_TARIFFS, many, start_ms) == folded(TWO_TARIFFS, few, start_ms)


@given(cuts=CUTS, terms=st.sampled_from([offer(fees=FEES, tax_permyriad=777), THREE_TIERS, TWO_TARIFFS]))
def test_amounts_only_rise_and_lines_add_up(cuts: list[int], terms: Offer) -> None:
    tally, before = open_tally(terms, 0), (0,) * len(price_lines(terms))
    for at, wh in enumerate(cuts):
        tally = add(terms, tally, at, wh)
        now = amounts(terms, tally)
        assert all(new >= old for new, old in zip(now, before, strict=True))
        assert sum(tally.line_wh) == tally.agreed_wh == wh
        before = now


def test_losses_are_standby_and_a_share_of_the_energy() -> None:
    assert loss_wh(LossRule(10, 0), 5_000, MS_PER_HOUR * 3 // 2) == 15
    assert loss_wh(LossRule(10, 0), 5_000, MS_PER_HOUR // 10 - 1) == 0
    assert loss_wh(LossRule(0, 1_500), 1_000, MS_PER_HOUR) == 2
    assert loss_wh(LossRule(0, 1_499), 1_000, MS_PER_HOUR) == 1


def test_tolerance_is_the_larger_of_floor_and_class() -> None:
    assert tolerance_wh(Tolerance(20, 20_000), 999) == 20
    assert tolerance_wh(Tolerance(20, 20_000), 1_100) == 22


@pytest.mark.parametrize("role", list(Role))
def test_within_tolerance_the_reference_meter_counts(role: Role) -> None:
    terms = reference_offer(role, loss=LossRule(0, 10_000), tolerance=Tolerance(5, 10_000))
    agreed = {Role.PROVIDER: 1_000, Role.CLIENT: 980}
    assert agree(terms, 1_000, 980, 0) == Agreed(agreed[role])
    assert agree(terms, 1_000, 1_000, 0) == Agreed(1_000)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("client_wh", [979, 1_001])
def test_outside_the_smaller_counts_and_the_rest_is_parked(role: Role, client_wh: int) -> None:
    terms = reference_offer(role, loss=LossRule(0, 10_000), tolerance=Tolerance(5, 10_000))
    assert agree(terms, 1_000, client_wh, 0) == Disagreement(min(1_000, client_wh), abs(1_000 - client_wh))


def test_time_widens_what_may_get_lost() -> None:
    terms = offer(loss=LossRule(100, 0), tolerance=Tolerance(0, 0))
    assert agree(terms, 1_000, 900, MS_PER_HOUR) == Agreed(1_000)
    assert agree(terms, 1_000, 900, MS_PER_HOUR // 2) == Disagreement(900, 100)


def test_standby_alone_is_no_negative_energy() -> None:
    terms = offer(loss=LossRule(100, 0))
    assert agree(terms, 10, 0, MS_PER_HOUR) == Agreed(10)


@given(
    provider_wh=st.integers(0, 10**7),
    client_wh=st.integers(0, 10**7),
    elapsed_ms=st.integers(0, 10**9),
    role=st.sampled_from(Role),
)
def test_nobody_pays_for_more_than_a_meter_shows(provider_wh: int, client_wh: int, elapsed_ms: int, role: Role) -> None:
    terms = reference_offer(role, loss=LossRule(5, 20_000), tolerance=Tolerance(20, 30_000))
    match agree(terms, provider_wh, client_wh, elapsed_ms):
        case Agreed(agreed_wh):
            assert agreed_wh in (provider_wh, client_wh)
        case Disagreement(undisputed_wh, parked_wh):
            assert 0 <= undisputed_wh <= min(provider_wh, client_wh)
            assert undisputed_wh + parked_wh == max(provider_wh, client_wh)


def test_the_next_tariff_edge_is_after_now() -> None:
    assert next_tariff_edge_ms(TWO_TARIFFS, EDGE_MS - 1) == EDGE_MS
    assert next_tariff_edge_ms(TWO_TARIFFS, EDGE_MS) is None
    assert next_tariff_edge_ms(THREE_TIERS, 0) is None


def test_the_next_tier_is_above_the_energy() -> None:
    assert [next_tier_wh(THREE_TIERS, wh) for wh in (0, 999, 1_000, 5_000)] == [1_000, 1_000, 5_000, None]
    assert next_tier_wh(TWO_TARIFFS, 0) is None
