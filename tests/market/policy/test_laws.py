"""Laws of market/policy/decide.py, for cases that hold any mixture of limits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from market.errors import Refusal
from market.policy import (
    BatteryFacts,
    Case,
    Commitments,
    Departure,
    Lock,
    OwnerPolicy,
    StrangerRule,
    Window,
    asking_again,
    confirmable,
    decide,
    drawn_wh,
    floor,
    lock_for,
    window_of,
)
from market.pricing import DayStep, FixedTariff, Tariff, TieredTariff, TimeOfUseTariff, highest_cost_micro
from market.terms import (
    Fee,
    FeeKind,
    LossRule,
    Offer,
    PriceStep,
)
from market.units import MS_PER_HOUR, Service, ServiceBits
from tests.market.world import (
    BATTERY,
    ELECTRICAL,
    NOW_MS,
    case,
    committed,
    request,
)

TIME_OF_USE = TimeOfUseTariff((DayStep(0, 200_000), DayStep(720, 300_000)), ZoneInfo("Europe/Berlin"))
TARIFFS: list[Tariff] = [
    FixedTariff(0),
    FixedTariff(300_000),
    TIME_OF_USE,
    TieredTariff((PriceStep(0, 400_000), PriceStep(2_000, 100_000))),
    TieredTariff((PriceStep(0, 100_000), PriceStep(2_000, 400_000))),
]


def mostly(usual: Any, rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A usual value that refuses nothing, and now and then one that may: or nearly every case had several refusals."""
    return st.integers(0, 5).flatmap(lambda die: rare if die == 0 else st.just(usual))


HOURS = st.integers(-3, 30).map(lambda hours: NOW_MS + hours * MS_PER_HOUR)
WINDOWS = st.builds(lambda start, hours: Window(start, start + hours * MS_PER_HOUR), HOURS, st.integers(1, 10))
POLICIES = st.builds(
    OwnerPolicy,
    services=mostly(ServiceBits.V2V | ServiceBits.V2H, st.just(ServiceBits.V2V)),
    tariff=st.sampled_from(TARIFFS),
    reserve_permille=mostly(300, st.integers(0, 1_000)),
    departure=mostly(None, st.builds(Departure, HOURS, st.integers(0, 60_000))),
    max_power_w=mostly(20_000, st.integers(0, 20_000)),
    daily_cap_wh=mostly(50_000, st.integers(0, 50_000)),
    price_stop_micro_per_kwh=st.sampled_from([0, 350_000]),
    strangers=st.just(StrangerRule.YES),
    debt_cap_micro=mostly(50_000_000, st.integers(0, 10_000_000)),
    stranger_debt_cap_micro=mostly(20_000_000, st.integers(0, 10_000_000)),
    fees=st.sampled_from([(), (Fee(FeeKind.SESSION, 500_000),)]),
    tax_permyriad=st.sampled_from([0, 1_900]),
)
BATTERIES = st.builds(
    BatteryFacts,
    capacity_wh=st.just(60_000),
    usable_wh=st.integers(20_000, 57_000),
    maker_floor_wh=st.integers(0, 3_000),
    max_discharge_w=mostly(20_000, st.integers(0, 20_000)),
    loss=st.builds(LossRule, st.integers(0, 50), st.integers(0, 100_000)),
)
COMMITMENTS = st.builds(
    Commitments,
    locked_wh=mostly(0, st.integers(0, 20_000)),
    promised_wh=mostly(0, st.integers(0, 20_000)),
    windows=mostly((), st.lists(WINDOWS, max_size=3).map(tuple)),
    delivered_today_wh=mostly(0, st.integers(0, 20_000)),
    peer_debt_micro=st.integers(-1_000_000, 5_000_000),
    strangers_debt_micro=st.integers(0, 5_000_000),
    peer_known=st.booleans(),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    least, wanted = sorted(draw(st.tuples(st.integers(1, 60_000), st.integers(1, 60_000))))
    asked = request(
        service=draw(st.sampled_from([Service.V2V, Service.V2H])),
        energy_wh=wanted,
        energy_min_wh=draw(st.sampled_from([1, least])),
        power_min_w=draw(mostly(0, st.integers(0, 10_000))),
        power_max_w=draw(st.integers(10_000, 20_000)),
        window_ms=draw(st.integers(1, 24)) * MS_PER_HOUR - draw(st.integers(0, MS_PER_HOUR - 1)),
        start_at_ms=draw(mostly(0, HOURS)),
        price_max_micro_per_kwh=draw(mostly(1_000_000, st.integers(0, 600_000))),
    )
    return case(
        request=asked,
        provider=replace(ELECTRICAL, continuous_va=draw(mostly(20_000, st.integers(1, 20_000)))),
        policy=draw(POLICIES),
        battery=draw(mostly(BATTERY, st.none()) | BATTERIES),
        commitments=draw(COMMITMENTS),
        clock_trusted=draw(mostly(True, st.just(False))),
    )


def is_offered(asked: Case) -> bool:
    return isinstance(decide(asked), Offer)


def has_a_value(asked: Case) -> bool:
    answer = decide(asked)
    return isinstance(answer, Refusal) and answer.would_pass is not None


@pytest.mark.parametrize("holds", [is_offered, has_a_value])
def test_the_laws_below_have_cases_to_hold_for(holds: Callable[[Case], bool]) -> None:
    """A law about offers says nothing where none is made. Unsatisfied: `find` raises."""
    assert holds(find(cases(), holds, settings=settings(phases=[Phase.generate], max_examples=300)))


@given(asked=cases())
@settings(max_examples=150)
def test_law_asking_again_with_the_value_that_would_pass_passes(asked: Case) -> None:
    answer = decide(asked)
    if isinstance(answer, Refusal) and answer.would_pass is not None:
        again = replace(asked, request=asking_again(asked.request, answer.would_pass))
        assert isinstance(decide(again), Offer)


@given(asked=cases())
@settings(max_examples=150)
def test_law_no_offer_breaks_a_limit(asked: Case) -> None:
    made = decide(asked)
    if isinstance(made, Refusal):
        return
    limits, held = asked.policy, asked.commitments
    window = window_of(asked)
    assert isinstance(window, Window)
    assert asked.request.energy_min_wh <= made.energy_wh <= asked.request.energy_wh
    assert asked.request.power_min_w <= made.power_w <= min(asked.request.power_max_w, limits.max_power_w)
    if asked.battery is not None:
        left_wh = asked.battery.stored_wh - held.locked_wh
        left_wh -= drawn_wh(made, made.energy_wh, asked.battery, window.length_ms)
        assert left_wh >= floor(limits, asked.battery, asked.now_ms, asked.clock_trusted).energy_wh
    assert held.delivered_today_wh + held.promised_wh + made.energy_wh <= limits.daily_cap_wh
    assert held.peer_debt_micro + highest_cost_micro(made, made.energy_wh) <= limits.debt_cap_micro
    assert all(step.price_micro_per_kwh >= limits.price_stop_micro_per_kwh for step in made.price_steps)
    assert not any(
        other.start_at_ms < window.end_at_ms and window.start_at_ms < other.end_at_ms for other in held.windows
    )


@given(asked=cases())
@settings(max_examples=100)
def test_law_what_is_offered_can_be_confirmed_at_once(asked: Case) -> None:
    made = decide(asked)
    if isinstance(made, Offer):
        assert confirmable(asked, made) is None
        assert isinstance(lock_for(asked, made), Lock)


@given(asks=st.lists(st.integers(1, 20_000), min_size=1, max_size=8), loss_ppm=st.integers(0, 200_000))
def test_law_agreements_together_never_reach_below_the_floor(asks: list[int], loss_ppm: int) -> None:
    """Each is delivered in full, in its own hour, by what its lock says."""
    lossy = replace(BATTERY, loss=LossRule(20, loss_ppm))
    locked_wh = 0
    for hour, wanted_wh in enumerate(asks):
        asked = request(
            energy_wh=wanted_wh, energy_min_wh=1, window_ms=MS_PER_HOUR, start_at_ms=NOW_MS + (hour + 1) * MS_PER_HOUR
        )
        now = case(request=asked, battery=lossy, commitments=committed(locked_wh=locked_wh, peer_known=True))
        made = decide(now)
        if isinstance(made, Offer) and confirmable(now, made) is None:
            lock = lock_for(now, made)
            assert isinstance(lock, Lock)
            locked_wh += lock.battery_wh
    assert lossy.stored_wh - locked_wh >= 18_000
