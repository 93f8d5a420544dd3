"""Twin of market/policy/decide.py, by examples; its laws: test_laws.py."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from market.errors import Quantity, Reason, Refusal, WouldPass
from market.policy import (
    Case,
    Departure,
    ExposureLimits,
    Lock,
    Window,
    asking_again,
    confirmable,
    countered,
    decide,
    decline,
    for_peer,
    is_tellworthy,
    lock_for,
)
from market.policy.path import PATH_TERMS, START_WITHIN_MS
from market.pricing import DayStep, FixedTariff, TieredTariff, TimeOfUseTariff
from market.terms import (
    Counter,
    Decline,
    Fee,
    FeeKind,
    Limit,
    LossRule,
    Offer,
    PriceKind,
    PriceStep,
    Profile,
    SilenceRule,
)
from market.units import MAX_PRICE_MICRO_PER_KWH, MS_PER_HOUR, Role, Service, ServiceBits
from tests.market.world import (
    CLIENT,
    NOW_MS,
    REQUEST,
    REQUEST_ID,
    battery,
    case,
    committed,
    policy,
    request,
)


def offered(asked: Case) -> Offer:
    answer = decide(asked)
    assert isinstance(answer, Offer), answer
    return answer


def energy(reason: Reason, wh: int) -> Refusal:
    return Refusal(reason, WouldPass(Quantity.ENERGY_WH, wh))


# Offers


def test_an_offer_says_all_terms() -> None:
    limits = policy(fees=(Fee(FeeKind.SESSION, 5),), tax_permyriad=1_900, exposure=ExposureLimits(v2v_wh=700))
    made = offered(case(policy=limits, number=2, status_period_ms=5_000))
    assert (made.request_id, made.number, made.energy_wh, made.power_w) == (REQUEST_ID, 2, 5_000, 11_000)
    assert (made.profile, made.reference) == (Profile.DC_CONVERTER, Role.PROVIDER)
    assert (made.price_kind, made.price_steps) == (PriceKind.FIXED, (PriceStep(0, 300_000),))
    assert (made.fees, made.tax_permyriad, made.currency) == (limits.fees, 1_900, "EUR")
    assert (made.loss, made.tolerance) == (PATH_TERMS[made.profile].loss, PATH_TERMS[made.profile].tolerance)
    assert (made.exposure_wh, made.status_period_ms, made.silence) == (700, 5_000, SilenceRule.POWER_OFF)
    assert (made.start_at_ms, made.start_within_ms) == (0, START_WITHIN_MS)


def test_a_home_is_not_cut_off_at_once() -> None:
    made = offered(case(request=request(service=Service.V2H)))
    assert (made.profile, made.reference, made.silence) == (Profile.DC_BPT, Role.CLIENT, SilenceRule.TO_EXPOSURE)


def test_a_later_start_is_agreed_and_waited_for() -> None:
    made = offered(case(request=request(start_at_ms=NOW_MS + MS_PER_HOUR)))
    assert (made.start_at_ms, made.start_within_ms) == (NOW_MS + MS_PER_HOUR, MS_PER_HOUR + START_WITHIN_MS)


@pytest.mark.parametrize(("energy_wh", "exposure_wh"), [(1, 2), (2, 2), (300, 300), (5_000, 500)])
def test_exposure_is_no_more_than_the_energy(energy_wh: int, exposure_wh: int) -> None:
    assert offered(case(request=request(energy_wh=energy_wh, energy_min_wh=1))).exposure_wh == exposure_wh


@pytest.mark.parametrize(("wanted_wh", "given_wh"), [(20_000, 20_000), (25_000, 22_000), (10**7, 22_000)])
def test_an_unreachable_target_is_approached(wanted_wh: int, given_wh: int) -> None:
    """22 kWh is what 11 kW give in two hours; the battery would have 25 kWh."""
    assert offered(case(request=request(energy_wh=wanted_wh))).energy_wh == given_wh


# Refusals


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, energy(Reason.RESERVE, 25_000)),
        ({"policy": policy(reserve_permille=0)}, energy(Reason.MAKER_FLOOR, 40_000)),
        (
            {"policy": policy(departure=Departure(NOW_MS + 10 * MS_PER_HOUR, 40_000))},
            energy(Reason.DEPARTURE, 3_000),
        ),
        ({"policy": policy(daily_cap_wh=7_000)}, energy(Reason.RESERVE, 7_000)),
        ({"battery": None, "policy": policy(daily_cap_wh=7_000)}, energy(Reason.DAILY_CAP, 7_000)),
        ({"commitments": committed(locked_wh=24_000)}, energy(Reason.RESERVE, 1_000)),
        ({"battery": battery(usable_wh=15_000)}, Refusal(Reason.RESERVE)),
        ({"battery": None, "commitments": committed(peer_debt_micro=49_970_000)}, energy(Reason.DEBT_CAP, 100)),
        (
            {
                "battery": None,
                "policy": policy(debt_cap_micro=10**9),
                "commitments": committed(strangers_debt_micro=19_970_000),
            },
            energy(Reason.STRANGER_DEBT_CAP, 100),
        ),
        ({"battery": None, "commitments": committed(peer_debt_micro=10**8)}, Refusal(Reason.DEBT_CAP)),
    ],
)
def test_each_energy_limit_says_what_would_pass(changes: dict[str, Any], refusal: Refusal) -> None:
    asked = request(energy_wh=300_000, energy_min_wh=200_000, window_ms=50 * MS_PER_HOUR)
    assert decide(case(request=asked, **changes)) == refusal


def test_energy_that_others_have_locked_is_named_where_it_alone_refuses() -> None:
    asked = case(commitments=committed(locked_wh=24_500))
    assert decide(asked) == energy(Reason.COMMITTED_ELSEWHERE, 500)


def test_a_short_time_is_named() -> None:
    asked = request(window_ms=MS_PER_HOUR // 100)
    assert decide(case(request=asked)) == energy(Reason.WINDOW_UNAVAILABLE, 110)


def price(reason: Reason, micro: int) -> Refusal:
    return Refusal(reason, WouldPass(Quantity.PRICE_MICRO_PER_KWH, micro))


@pytest.mark.parametrize(
    ("limits", "highest", "answer"),
    [
        ({}, 300_000, 300_000),
        ({}, 299_999, price(Reason.PRICE_TOO_LOW, 300_000)),
        ({"tax_permyriad": 1_900}, 357_000, 300_000),
        ({"tax_permyriad": 1_900}, 356_999, price(Reason.PRICE_TOO_LOW, 357_000)),
        ({"price_stop_micro_per_kwh": 350_000}, 350_000, 350_000),
        ({"price_stop_micro_per_kwh": 350_000}, 349_999, price(Reason.PRICE_STOP, 350_000)),
        ({"price_stop_micro_per_kwh": 100_000}, 100_000, price(Reason.PRICE_TOO_LOW, 300_000)),
    ],
)
def test_the_price_is_the_tariffs_and_never_below_the_stop(
    limits: dict[str, Any], highest: int, answer: int | Refusal
) -> None:
    found = decide(case(policy=policy(**limits), request=request(price_max_micro_per_kwh=highest)))
    assert (found.price_steps[0].price_micro_per_kwh if isinstance(found, Offer) else found) == answer


def test_the_stop_merges_the_tiers_that_it_lifts() -> None:
    tiers = TieredTariff((PriceStep(0, 400_000), PriceStep(500, 200_000), PriceStep(900, 100_000)))
    made = offered(case(policy=policy(tariff=tiers, price_stop_micro_per_kwh=250_000)))
    assert made.price_steps == (PriceStep(0, 400_000), PriceStep(500, 250_000))


def test_tiers_that_can_not_be_reached_are_no_part_of_the_price() -> None:
    tiers = TieredTariff((PriceStep(0, 100_000), PriceStep(5_000, 900_000)))
    assert offered(case(policy=policy(tariff=tiers))).price_steps == (PriceStep(0, 100_000),)
    more = case(policy=policy(tariff=tiers), request=request(energy_wh=5_001))
    assert decide(more) == price(Reason.PRICE_TOO_LOW, 900_000)


TIME_OF_USE = TimeOfUseTariff((DayStep(0, 200_000), DayStep(720, 300_000)), ZoneInfo("Europe/Berlin"))


def test_time_of_use_needs_a_clock() -> None:
    limits = policy(tariff=TIME_OF_USE)
    assert offered(case(policy=limits)).price_kind is PriceKind.TIME_OF_USE
    assert decide(case(policy=limits, clock_trusted=False)) == Refusal(Reason.CLOCK_UNTRUSTED)


def test_a_value_that_another_limit_would_refuse_is_not_said() -> None:
    asked = request(energy_min_wh=5_000, price_max_micro_per_kwh=1)
    assert decide(case(request=asked)) == price(Reason.PRICE_TOO_LOW, 300_000)
    empty = battery(usable_wh=15_000)
    assert decide(case(request=asked, battery=empty)) == Refusal(Reason.PRICE_TOO_LOW)


def test_a_price_beyond_what_a_request_can_say_is_not_said() -> None:
    limits = policy(tariff=FixedTariff(MAX_PRICE_MICRO_PER_KWH), tax_permyriad=1)
    asked = request(price_max_micro_per_kwh=MAX_PRICE_MICRO_PER_KWH)
    assert decide(case(policy=limits, request=asked)) == Refusal(Reason.PRICE_TOO_LOW)


# Confirm


def test_a_good_offer_is_confirmed_and_locked() -> None:
    asked = case(battery=battery(loss=LossRule(10, 100_000)))
    made = offered(asked)
    assert confirmable(asked, made) is None
    assert lock_for(asked, made) == Lock(5_000 + 20 + 500, 5_000, Window(NOW_MS, NOW_MS + 2 * MS_PER_HOUR))


def test_the_same_energy_is_never_confirmed_twice() -> None:
    """25 kWh are above the reserve: of three agreements of 10 kWh the third fails."""
    asked = case(request=request(energy_wh=10_000, energy_min_wh=10_000))
    made = offered(asked)
    locked = 0
    for _ in range(2):
        now = replace(asked, commitments=committed(locked_wh=locked))
        assert confirmable(now, made) is None
        lock = lock_for(now, made)
        assert isinstance(lock, Lock)
        locked += lock.battery_wh
    third = replace(asked, commitments=committed(locked_wh=locked))
    assert confirmable(third, made) == energy(Reason.COMMITTED_ELSEWHERE, 5_000)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"policy": policy(block=frozenset({CLIENT}))}, Reason.BLOCKED),
        ({"policy": policy(services=ServiceBits.V2H)}, Reason.SERVICE_OFF),
        ({"policy": policy(reserve_permille=700)}, Reason.RESERVE),
        ({"commitments": committed(windows=(Window(NOW_MS, NOW_MS + 1),))}, Reason.CONNECTOR_BUSY),
        ({"commitments": committed(peer_debt_micro=49_000_000)}, Reason.DEBT_CAP),
        ({"now_ms": NOW_MS + 2 * MS_PER_HOUR, "request": request(start_at_ms=NOW_MS)}, Reason.WINDOW_UNAVAILABLE),
    ],
)
def test_what_changed_since_the_offer_refuses_its_confirm(changes: dict[str, Any], reason: Reason) -> None:
    made = offered(case())
    refusal = confirmable(case(**changes), made)
    assert refusal is not None
    assert refusal.reason is reason


def test_the_price_of_an_offer_is_promised() -> None:
    made = offered(case())
    assert confirmable(case(policy=policy(tariff=FixedTariff(400_000))), made) is None


def test_a_minute_later_the_time_left_is_enough() -> None:
    asked = request(energy_wh=22_000, energy_min_wh=22_000, start_at_ms=NOW_MS)
    made = offered(case(request=asked))
    assert confirmable(case(request=asked, now_ms=NOW_MS + 60_000), made) is None


def test_a_time_of_use_price_is_confirmed_by_a_good_clock_only() -> None:
    limits = policy(tariff=TIME_OF_USE)
    made = offered(case(policy=limits))
    assert confirmable(case(policy=limits, clock_trusted=False), made) == Refusal(Reason.CLOCK_UNTRUSTED)


def test_nothing_can_be_locked_in_a_window_that_is_taken() -> None:
    busy = case(commitments=committed(windows=(Window(NOW_MS, NOW_MS + 1),)))
    assert isinstance(lock_for(busy, offered(case())), Refusal)


# To the peer


def test_a_peer_hears_a_neutral_reason_and_a_value_only_where_allowed() -> None:
    refusal = energy(Reason.RESERVE, 4_000)
    assert for_peer(refusal, policy()) == Refusal(Reason.ENERGY_UNAVAILABLE)
    frank = policy(say_would_pass=True)
    assert for_peer(refusal, frank) == energy(Reason.ENERGY_UNAVAILABLE, 4_000)
    said = decline(REQUEST_ID, refusal, frank)
    assert said == Decline(REQUEST_ID, Reason.ENERGY_UNAVAILABLE, (Limit(Quantity.ENERGY_WH, 4_000),))


@pytest.mark.parametrize(("tell", "told"), [(300_000, False), (300_001, True), (0, False)])
def test_the_owner_is_told_of_a_low_price(tell: int, told: bool) -> None:
    assert is_tellworthy(offered(case()), policy(price_tell_micro_per_kwh=tell)) is told


def test_a_counter_changes_price_and_energy() -> None:
    changed = countered(REQUEST, Counter(REQUEST_ID, 1, 250_000, 800))
    expected = (800, 800, 250_000)
    assert (changed.energy_wh, changed.energy_min_wh, changed.price_max_micro_per_kwh) == expected


@pytest.mark.parametrize("quantity", [Quantity.AMOUNT_MICRO, Quantity.RESERVE_PERMILLE])
def test_an_owners_own_value_changes_no_request(quantity: Quantity) -> None:
    assert asking_again(REQUEST, WouldPass(quantity, 1)) == REQUEST
