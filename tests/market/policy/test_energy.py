"""Twin of market/policy/energy.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import Reason
from market.policy import Departure, Window, drawn_wh, floor
from market.policy.energy import (
    EnergyLimit,
    Floor,
    delivery_power_w,
    lasting_limits,
    most,
    sent_wh,
    tightest,
    time_limit,
)
from market.pricing import highest_cost_micro
from market.settlement import loss_wh
from market.terms import LossRule
from market.units import MS_PER_HOUR, PPM, Role
from tests.market.world import BATTERY, NOW_MS, OFFER, battery, case, committed, offer, policy, reference_offer

LATER = NOW_MS + MS_PER_HOUR


@pytest.mark.parametrize(
    ("reserve", "maker_floor", "departure", "expected"),
    [
        (300, 3_000, None, Floor(18_000, Reason.RESERVE)),
        (0, 3_000, None, Floor(3_000, Reason.MAKER_FLOOR)),
        (300, 3_000, Departure(LATER, 30_000), Floor(30_000, Reason.DEPARTURE)),
        (300, 3_000, Departure(LATER, 18_000), Floor(18_000, Reason.RESERVE)),
        (300, 3_000, Departure(NOW_MS, 30_000), Floor(18_000, Reason.RESERVE)),
        (333, 0, None, Floor(19_980, Reason.RESERVE)),
    ],
)
def test_the_floor_is_the_highest_and_says_why(
    reserve: int, maker_floor: int, departure: Departure | None, expected: Floor
) -> None:
    limits = policy(reserve_permille=reserve, departure=departure)
    assert floor(limits, battery(maker_floor_wh=maker_floor), NOW_MS, clock_trusted=True) == expected


def test_the_reserve_is_rounded_up() -> None:
    small = battery(capacity_wh=1_001, maker_floor_wh=0)
    assert floor(policy(reserve_permille=1), small, NOW_MS, clock_trusted=True).energy_wh == 2


def test_by_a_bad_clock_no_departure_has_passed() -> None:
    limits = policy(departure=Departure(1, 30_000))
    assert floor(limits, BATTERY, NOW_MS, clock_trusted=False) == Floor(30_000, Reason.DEPARTURE)


@given(
    energy_wh=st.integers(0, 10**7),
    standby_w=st.integers(0, 10_000),
    loss_ppm=st.integers(0, PPM // 2),
    elapsed_ms=st.integers(0, 31 * 24 * MS_PER_HOUR),
)
def test_what_is_sent_covers_what_is_agreed_at_the_clients_meter(
    energy_wh: int, standby_w: int, loss_ppm: int, elapsed_ms: int
) -> None:
    terms = reference_offer(Role.CLIENT, loss=LossRule(standby_w, loss_ppm))
    most_wh = sent_wh(terms, energy_wh, elapsed_ms)
    assert most_wh - loss_wh(terms.loss, most_wh, elapsed_ms) >= energy_wh


def test_at_the_providers_meter_what_is_agreed_is_sent() -> None:
    assert sent_wh(reference_offer(Role.PROVIDER, loss=LossRule(100, 50_000)), 1_000, MS_PER_HOUR) == 1_000


def test_the_battery_gives_losses_on_top() -> None:
    lossy = battery(loss=LossRule(20, 50_000))
    assert drawn_wh(OFFER, 1_001, lossy, MS_PER_HOUR) == 1_001 + 20 + 51


@given(
    max_discharge_w=st.integers(0, 10**7),
    standby_w=st.integers(0, 500),
    loss_ppm=st.integers(0, PPM // 2),
    role=st.sampled_from(Role),
)
def test_an_hour_at_full_power_asks_no_more_than_the_battery_gives(
    max_discharge_w: int, standby_w: int, loss_ppm: int, role: Role
) -> None:
    limited = battery(max_discharge_w=max_discharge_w, loss=LossRule(standby_w, loss_ppm))
    terms = reference_offer(role, loss=LossRule(5, 20_000))
    power_w = delivery_power_w(role, terms.loss, limited)
    if power_w:
        slack_wh = 6  # each figure is rounded up to a whole Wh against us
        assert drawn_wh(terms, power_w, limited, MS_PER_HOUR) <= max_discharge_w + slack_wh


def limits_of(**changes: object) -> dict[Reason, int]:
    found = lasting_limits(case(**changes), OFFER, MS_PER_HOUR)
    return {limit.reason: limit.energy_wh for limit in found}


def test_the_battery_gives_what_is_above_the_floor() -> None:
    assert limits_of()[Reason.RESERVE] == 25_000
    assert limits_of(battery=battery(loss=LossRule(0, 250_000)))[Reason.RESERVE] == 20_000


def test_what_others_have_locked_is_named() -> None:
    limits = limits_of(commitments=committed(locked_wh=20_000))
    assert limits[Reason.RESERVE] == 25_000
    assert limits[Reason.COMMITTED_ELSEWHERE] == 5_000


def test_without_a_battery_only_day_and_debt_limit() -> None:
    assert set(limits_of(battery=None)) == {Reason.DAILY_CAP, Reason.DEBT_CAP, Reason.STRANGER_DEBT_CAP}


def test_the_day_counts_what_is_delivered_and_what_is_promised() -> None:
    limits = limits_of(
        policy=policy(daily_cap_wh=10_000), commitments=committed(delivered_today_wh=3_000, promised_wh=2_000)
    )
    assert limits[Reason.DAILY_CAP] == 5_000


def test_a_debt_leaves_as_much_energy_as_it_leaves_money() -> None:
    """2 of 50 left at 0.30 a kWh are 6,666 Wh: one more would be 2.000100."""
    assert limits_of(commitments=committed(peer_debt_micro=48_000_000))[Reason.DEBT_CAP] == 6_666
    assert highest_cost_micro(OFFER, 6_667) > 2_000_000
    assert limits_of(commitments=committed(strangers_debt_micro=20_000_000))[Reason.STRANGER_DEBT_CAP] == 0


def test_the_strangers_cap_is_for_strangers() -> None:
    assert Reason.STRANGER_DEBT_CAP not in limits_of(commitments=committed(peer_known=True))


def test_time_limits_at_full_power() -> None:
    window = Window(NOW_MS, NOW_MS + MS_PER_HOUR // 4)
    assert time_limit(offer(power_w=10_000), window) == EnergyLimit(2_500, Reason.WINDOW_UNAVAILABLE)


RESERVE, CAP = EnergyLimit(900, Reason.RESERVE), EnergyLimit(500, Reason.DAILY_CAP)


@pytest.mark.parametrize(
    ("needed_wh", "expected"),
    [(1_000, Reason.RESERVE), (901, Reason.RESERVE), (900, Reason.DAILY_CAP), (1, Reason.DAILY_CAP)],
)
def test_the_first_limit_that_refuses_by_itself_is_named(needed_wh: int, expected: Reason) -> None:
    assert tightest([RESERVE, CAP], needed_wh) == EnergyLimit(500, expected)


def test_an_overdrawn_limit_leaves_nothing() -> None:
    assert tightest([EnergyLimit(-5, Reason.DAILY_CAP)], 1).energy_wh == 0


@given(high=st.integers(0, 10**7), edge=st.integers(-1, 10**7))
def test_most_finds_the_last_that_fits(high: int, edge: int) -> None:
    assert most(high, lambda number: number <= edge) == max(0, min(high, edge))
