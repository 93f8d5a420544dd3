"""Twin of market/pricing.py."""

from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import Reason, Refusal, TermsInvalid
from market.pricing import (
    Costs,
    DayStep,
    FixedTariff,
    Quote,
    TieredTariff,
    TimeOfUseTariff,
    average_price_micro_per_kwh,
    cost_micro,
    duration_ms,
    forecast,
    gross_price_micro_per_kwh,
    highest_cost_micro,
    highest_price_micro_per_kwh,
    lowest_price_micro_per_kwh,
    merged,
    quote,
)
from market.settlement import Tally, add, amounts, open_tally, total
from market.terms import Fee, FeeKind, Offer, PriceKind, PriceStep
from market.units import MAX_PRICE_MICRO_PER_KWH, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE
from tests.market.world import offer, priced

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/Sao_Paulo"), ZoneInfo("Asia/Kathmandu"), UTC]
DEAR_EVENING = TimeOfUseTariff((DayStep(0, 100), DayStep(17 * 60, 300), DayStep(21 * 60, 200)), BERLIN)


def at_ms(*local: int, zone: tzinfo = BERLIN, fold: int = 0) -> int:
    year, month, day, hour, minute = local
    return int(datetime(year, month, day, hour, minute, tzinfo=zone, fold=fold).timestamp()) * 1000


def quoted(tariff: TimeOfUseTariff, start_ms: int, window_ms: int) -> tuple[PriceStep, ...]:
    answer = quote(tariff, start_ms, window_ms, clock_trusted=True)
    assert isinstance(answer, Quote)
    assert answer.kind is PriceKind.TIME_OF_USE
    return answer.steps


def test_a_fixed_price_needs_no_clock() -> None:
    assert quote(FixedTariff(7), 0, 1, clock_trusted=False) == Quote(PriceKind.FIXED, (PriceStep(0, 7),))


def test_tiers_need_no_clock() -> None:
    tiers = (PriceStep(0, 7), PriceStep(1_000, 5))
    assert quote(TieredTariff(tiers), 0, 1, clock_trusted=False) == Quote(PriceKind.TIERED, tiers)


def test_time_of_use_needs_a_clock() -> None:
    assert quote(DEAR_EVENING, 0, 1, clock_trusted=False) == Refusal(Reason.CLOCK_UNTRUSTED)


def test_a_window_sees_only_its_own_edges() -> None:
    start = at_ms(2026, 5, 28, 16, 30)
    assert quoted(DEAR_EVENING, start, 4 * MS_PER_HOUR) == (
        PriceStep(start // MS_PER_MINUTE, 100),
        PriceStep(at_ms(2026, 5, 28, 17, 0) // MS_PER_MINUTE, 300),
    )
    assert len(quoted(DEAR_EVENING, start, MS_PER_HOUR // 2)) == 1


def test_the_weekend_has_prices_of_its_own() -> None:
    tariff = TimeOfUseTariff(DEAR_EVENING.steps, BERLIN, weekend=(DayStep(0, 50),))
    friday = at_ms(2026, 5, 29, 22, 0)
    steps = quoted(tariff, friday, 3 * MS_PER_DAY)
    assert [step.price_micro_per_kwh for step in steps] == [200, 50, 100, 300, 200]
    assert steps[1].edge * MS_PER_MINUTE == at_ms(2026, 5, 30, 0, 0)
    assert steps[2].edge * MS_PER_MINUTE == at_ms(2026, 6, 1, 0, 0)


def test_the_short_day_loses_the_hour_from_two_to_three() -> None:
    """29 March 2026: 02:00 becomes 03:00. A price from 02:30 on counts from the moment that the clock jumps."""
    tariff = TimeOfUseTariff((DayStep(0, 1), DayStep(150, 2), DayStep(240, 3)), BERLIN)
    midnight = at_ms(2026, 3, 29, 0, 0)
    hours = [(step.edge * MS_PER_MINUTE - midnight) / MS_PER_HOUR for step in quoted(tariff, midnight, 8 * MS_PER_HOUR)]
    assert hours == [0, 2, 3]


def test_the_long_day_has_the_hour_from_two_to_three_twice() -> None:
    """25 October 2026: 03:00 becomes 02:00, and the clock shows 02:30 twice."""
    tariff = TimeOfUseTariff((DayStep(0, 1), DayStep(150, 2), DayStep(240, 3)), BERLIN)
    midnight = at_ms(2026, 10, 25, 0, 0)
    steps = quoted(tariff, midnight, 8 * MS_PER_HOUR)
    hours = [(step.edge * MS_PER_MINUTE - midnight) / MS_PER_HOUR for step in steps]
    assert hours == [0, 2.5, 3, 3.5, 5]
    assert [step.price_micro_per_kwh for step in steps] == [1, 2, 1, 2, 3]


MINUTES = st.sets(st.integers(1, 1_439), max_size=5).map(sorted)


@given(
    minutes=MINUTES,
    zone=st.sampled_from(ZONES),
    day=st.integers(0, 364 * 24),
    length_h=st.integers(1, 30),
    probes=st.lists(st.integers(0, 30 * 60), min_size=1, max_size=10),
)
def test_at_each_minute_counts_the_price_of_the_clock_on_the_wall(
    minutes: list[int], zone: tzinfo, day: int, length_h: int, probes: list[int]
) -> None:
    tariff = TimeOfUseTariff(tuple(DayStep(minute, 10 + minute) for minute in (0, *minutes)), zone)
    start = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(hours=day)  # a year in which all these zones were changed
    start_ms = int(start.timestamp()) * 1000
    steps = quoted(tariff, start_ms, length_h * MS_PER_HOUR)
    assert all(one.price_micro_per_kwh != two.price_micro_per_kwh for one, two in pairwise(steps))
    for probe in (probe % (length_h * 60) for probe in probes):
        wall = (start + timedelta(minutes=probe)).astimezone(zone)
        shown = wall.hour * 60 + wall.minute
        expected = 10 + max(minute for minute in (0, *minutes) if minute <= shown)
        in_force = max((step for step in steps if step.edge <= start_ms // MS_PER_MINUTE + probe), key=lambda s: s.edge)
        assert in_force.price_micro_per_kwh == expected


def test_more_changes_than_an_offer_carries_are_refused() -> None:
    hourly = TimeOfUseTariff(tuple(DayStep(60 * hour, hour) for hour in range(24)), UTC)
    midnight = at_ms(2026, 5, 28, 0, 0, zone=UTC)
    assert len(quoted(hourly, midnight, MS_PER_DAY)) == 24
    refused = quote(hourly, midnight, MS_PER_DAY + MS_PER_HOUR, clock_trusted=True)
    assert refused == Refusal(Reason.WINDOW_UNAVAILABLE)


@pytest.mark.parametrize(
    ("make", "changes", "field"),
    [
        (FixedTariff, {"price_micro_per_kwh": -1}, "price_micro_per_kwh"),
        (FixedTariff, {"price_micro_per_kwh": 0.3}, "price_micro_per_kwh"),
        (DayStep, {"minute": 1_440, "price_micro_per_kwh": 1}, "minute"),
        (TimeOfUseTariff, {"steps": (), "zone": UTC}, "steps"),
        (TimeOfUseTariff, {"steps": (DayStep(1, 1),), "zone": UTC}, "steps"),
        (TimeOfUseTariff, {"steps": (DayStep(0, 1), DayStep(0, 1)), "zone": UTC}, "steps"),
        (TimeOfUseTariff, {"steps": (DayStep(0, 1),), "zone": UTC, "weekend": (DayStep(9, 1),)}, "weekend"),
        (TimeOfUseTariff, {"steps": (DayStep(0, 1),), "zone": "Europe/Berlin"}, "zone"),
        (TieredTariff, {"tiers": ()}, "tiers"),
        (TieredTariff, {"tiers": (PriceStep(1, 1),)}, "tiers"),
        (TieredTariff, {"tiers": (PriceStep(0, 1), PriceStep(10_000_001, 1))}, "tiers"),
        (TieredTariff, {"tiers": (PriceStep(0, -1),)}, "price_micro_per_kwh"),
        (Costs, {"refill_micro_per_kwh": -1}, "refill_micro_per_kwh"),
    ],
)
def test_a_tariff_that_is_none_is_refused(make: Any, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        make(**changes)
    assert refused.value.field == field


def test_costs_and_margin_make_a_price_rounded_up() -> None:
    assert Costs(250_000, 50_000, 1_000).tariff == FixedTariff(330_000)
    assert Costs(1, 0, 1).tariff == FixedTariff(2)


def test_costs_beyond_any_price_are_refused() -> None:
    with pytest.raises(TermsInvalid):
        _ = Costs(MAX_PRICE_MICRO_PER_KWH, 1).tariff


@pytest.mark.parametrize(
    ("price", "tax", "gross"), [(300_000, 1_900, 357_000), (1, 1, 2), (0, 10_000, 0), (7, 0, 7), (7, 10_000, 14)]
)
def test_a_price_with_tax_is_rounded_up(price: int, tax: int, gross: int) -> None:
    assert gross_price_micro_per_kwh(price, tax) == gross


HOUR_EDGE = 29_666_700
PEAK = priced(PriceKind.TIME_OF_USE, (HOUR_EDGE - 60, 200_000), (HOUR_EDGE, 400_000), (HOUR_EDGE + 60, 100_000))


def test_a_forecast_passes_the_tariffs_edges_at_full_power() -> None:
    start_ms = (HOUR_EDGE - 30) * MS_PER_MINUTE
    assert forecast(PEAK, 16_000, start_ms).line_wh == (5_000, 10_000, 1_000)
    assert forecast(PEAK, 5_000, start_ms).line_wh == (5_000, 0, 0)
    assert forecast(PEAK, 16_000, start_ms).at_ms == start_ms + 96 * MS_PER_MINUTE


def test_a_forecast_of_tiers_is_by_energy() -> None:
    assert forecast(priced(PriceKind.TIERED, (0, 4), (700, 2)), 1_000, 0) == Tally((700, 300), 1_000, 360_000)


def test_cost_counts_fees_and_tax() -> None:
    terms = offer(fees=(Fee(FeeKind.SESSION, 100_000),), tax_permyriad=1_000)
    assert cost_micro(terms, 1_000, 0) == 440_000
    assert average_price_micro_per_kwh(terms, 3_000, 0) == Fraction(1_100_000, 3)


@given(energy_wh=st.integers(0, 30_000), cuts=st.lists(st.integers(0, 30_000), max_size=4).map(sorted))
def test_no_course_of_a_delivery_costs_more_than_the_highest_cost(energy_wh: int, cuts: list[int]) -> None:
    tally = open_tally(PEAK, (HOUR_EDGE - 30) * MS_PER_MINUTE)
    for number, cut in enumerate(cuts):
        tally = add(PEAK, tally, (HOUR_EDGE - 30 + 30 * number) * MS_PER_MINUTE, min(cut, energy_wh))
    tally = add(PEAK, tally, tally.at_ms, energy_wh)
    assert total(amounts(PEAK, tally)) <= highest_cost_micro(PEAK, energy_wh) + len(PEAK.price_steps)


@pytest.mark.parametrize(
    ("terms", "lowest", "highest"),
    [(PEAK, 100_000, 400_000), (offer(), 300_000, 300_000)],
)
def test_lowest_and_highest_price(terms: Offer, lowest: int, highest: int) -> None:
    assert (lowest_price_micro_per_kwh(terms), highest_price_micro_per_kwh(terms)) == (lowest, highest)


def test_duration_is_rounded_up() -> None:
    assert duration_ms(10_000, 10_000) == MS_PER_HOUR
    assert duration_ms(1, 7) == 514_286


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: duration_ms(1, 0),
        lambda: forecast(offer(), -1, 0),
        lambda: average_price_micro_per_kwh(offer(), 0, 0),
    ],
)
def test_a_forecast_of_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(TermsInvalid):
        wrong()


def test_steps_that_change_nothing_are_left_out() -> None:
    steps = [PriceStep(0, 5), PriceStep(1, 5), PriceStep(2, 6), PriceStep(3, 5)]
    assert merged(steps) == (PriceStep(0, 5), PriceStep(2, 6), PriceStep(3, 5))
