"""Laws of settlement and pricing for any offer: rounding never drifts, however a delivery is cut; nothing overflows."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.pricing import DayStep, Quote, TimeOfUseTariff, cost_micro, highest_cost_micro, quote
from market.settlement import (
    Tally,
    add,
    amounts,
    next_tariff_edge_ms,
    open_tally,
    price_lines,
    tax_micro,
    total,
)
from market.terms import Fee, FeeKind, Offer, PriceKind, Receipt, from_map, to_map
from market.units import MAX_AMOUNT_MICRO, MAX_ENERGY_WH, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, WH_PER_KWH
from tests.market.terms.strategies import offers
from tests.market.world import PROVIDER, offer

FEES = (Fee(FeeKind.SESSION, 123_457), Fee(FeeKind.TRAVEL, 1))


def marks(draw: st.DrawFn, offered: Offer, most: int) -> list[tuple[int, int]]:
    """Ends of intervals with cumulative energies; where the price changes with time, an end at each of its edges."""
    first_ms = offered.price_steps[0].edge * MS_PER_MINUTE if offered.price_kind is PriceKind.TIME_OF_USE else 0
    span_ms = draw(st.integers(1, 3 * MS_PER_DAY))
    inner = draw(st.lists(st.integers(1, span_ms), max_size=8))
    edges, edge_ms = [], next_tariff_edge_ms(offered, first_ms)
    while edge_ms is not None and edge_ms <= first_ms + span_ms:
        edges.append(edge_ms)
        edge_ms = next_tariff_edge_ms(offered, edge_ms)
    ends = sorted({*(first_ms + each for each in inner), *edges, first_ms + span_ms})
    energies = sorted(draw(st.lists(st.integers(0, most), min_size=len(ends), max_size=len(ends))))
    return [(first_ms, 0), *zip(ends, energies, strict=True)]


@st.composite
def courses(draw: st.DrawFn) -> tuple[Offer, list[tuple[int, int]]]:
    offered = draw(offers())
    return offered, marks(draw, offered, draw(st.sampled_from([3, 1_000, MAX_ENERGY_WH])))


def fold(offered: Offer, course: list[tuple[int, int]]) -> Tally:
    tally = open_tally(offered, course[0][0])
    for end_ms, agreed_wh in course[1:]:
        tally = add(offered, tally, end_ms, agreed_wh)
    return tally


@given(courses(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_course_costs_the_same_however_finely_it_is_cut(
    course: tuple[Offer, list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Each interval cut once more, anywhere, and with any register between its two ends."""
    offered, ends = course
    finer = ends[:1]
    for (before_ms, before_wh), (after_ms, after_wh) in pairwise(ends):
        between = data.draw(st.tuples(st.integers(before_ms, after_ms), st.integers(before_wh, after_wh)))
        finer += [between, (after_ms, after_wh)]
    assert fold(offered, finer) == fold(offered, ends)


@given(courses())
@settings(max_examples=150, deadline=None)
def test_each_line_is_its_energy_times_its_price_rounded_once(course: tuple[Offer, list[tuple[int, int]]]) -> None:
    offered, ends = course
    tally = fold(offered, ends)
    due = amounts(offered, tally)
    assert sum(tally.line_wh) == tally.agreed_wh == ends[-1][1]
    for wh, step, amount in zip(tally.line_wh, offered.price_steps, due, strict=False):
        assert abs(Fraction(wh * step.price_micro_per_kwh, WH_PER_KWH) - amount) <= Fraction(1, 2)
    net = due[:-1] if offered.tax_permyriad else due
    fees = net[len(offered.price_steps) :]
    assert fees == tuple(fee.amount_micro if tally.agreed_wh else 0 for fee in offered.fees)
    assert total(due) == total(net) + tax_micro(total(net), offered.tax_permyriad)


@given(courses())
@settings(max_examples=100, deadline=None)
def test_no_amount_falls_and_none_leaves_what_a_receipt_can_say(course: tuple[Offer, list[tuple[int, int]]]) -> None:
    offered, ends = course
    tally = open_tally(offered, ends[0][0])
    before = (0,) * len(price_lines(offered))
    for end_ms, agreed_wh in ends[1:]:
        tally = add(offered, tally, end_ms, agreed_wh)
        now = amounts(offered, tally)
        assert all(new >= old for new, old in zip(now, before, strict=True))
        assert total(now) <= MAX_AMOUNT_MICRO < 2**63
        said = Receipt(PROVIDER, 1, 0, agreed_wh, now)
        assert from_map(Receipt, to_map(said)) == said
        before = now


@given(offers(), st.integers(0, MAX_ENERGY_WH), st.integers(0, 2**41))
@settings(max_examples=100, deadline=None)
def test_no_forecast_is_dearer_than_the_dearest_course(offered: Offer, energy_wh: int, start_ms: int) -> None:
    """Up to what rounding each line and the tax on it may add."""
    slack = 2 * len(offered.price_steps)
    assert cost_micro(offered, energy_wh, start_ms) <= highest_cost_micro(offered, energy_wh) + slack


NIGHTS = [
    ("Europe/Berlin", (2026, 3, 28)),
    ("Europe/Berlin", (2026, 10, 24)),
    ("Australia/Lord_Howe", (2026, 4, 4)),
    ("Australia/Lord_Howe", (2026, 10, 3)),
    ("America/New_York", (2026, 10, 31)),
    ("Asia/Kathmandu", (2026, 5, 1)),
]


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
@given(
    minutes=st.sets(st.integers(1, 1_439), max_size=4).map(sorted),
    cuts=st.lists(st.integers(1, 20 * 60), max_size=6),
    power_w=st.sampled_from([60, 7_200, 43_200]),
)
@settings(max_examples=15, deadline=None)
def test_a_night_in_which_the_clock_is_changed_costs_what_it_shows(
    zone: str, day: tuple[int, int, int], minutes: list[int], cuts: list[int], power_w: int
) -> None:
    """Minute by minute by the clock on the wall, against one offer's steps and intervals cut at its edges."""
    site = ZoneInfo(zone)
    tariff = TimeOfUseTariff(tuple(DayStep(minute, 1_000 * (1 + minute)) for minute in (0, *minutes)), site)
    start = datetime(*day, 18, tzinfo=site).astimezone(UTC)
    start_ms = int(start.timestamp()) * 1_000
    quoted = quote(tariff, start_ms, 20 * MS_PER_HOUR, clock_trusted=True)
    assert isinstance(quoted, Quote)
    offered = offer(price_kind=quoted.kind, price_steps=quoted.steps, energy_wh=MAX_ENERGY_WH, fees=FEES)
    edges = [step.edge - start_ms // MS_PER_MINUTE for step in quoted.steps]
    ends = sorted({*cuts, *(each for each in edges if each > 0), 20 * 60})
    per_minute_wh = power_w // 60
    tally = fold(offered, [(start_ms + at * MS_PER_MINUTE, at * per_minute_wh) for at in (0, *ends)])
    owed = total(amounts(offered, tally)[: len(quoted.steps)])
    shown = [(start + timedelta(minutes=minute)).astimezone(site) for minute in range(20 * 60)]
    exact = Fraction(sum(per_minute_wh * tariff.price_at(int(each.timestamp()) * 1_000) for each in shown), WH_PER_KWH)
    assert abs(owed - exact) <= Fraction(len(quoted.steps), 2)
