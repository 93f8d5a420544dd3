"""What an installer has written, as the owner's policy; values that contradict each other are named."""

from datetime import UTC, datetime
from typing import Any

import pytest

from market.policy import Departure, StrangerRule
from market.pricing import FixedTariff, TimeOfUseTariff
from market.terms import Fee, FeeKind
from market.units import Service, ServiceBits
from tests.support.node_shop import configured
from v2xnode.errors import ConfigError
from v2xnode.trading.limits import owner_policy, site_zone

PEER, OTHER = "ab" * 32, "cd" * 32
NIGHT_MICRO, DAY_MICRO = 200_000, 350_000
STEPS = [
    {"from_minute": 0, "price_micro_per_kwh": NIGHT_MICRO},
    {"from_minute": 360, "price_micro_per_kwh": DAY_MICRO},
]


def test_each_limit_arrives_in_the_policy() -> None:
    owner = {
        "provides": ["V2V", "V2H"],
        "reserve_permille": 250,
        "departure_at_ms": 1_800_000_000_000,
        "departure_energy_wh": 20_000,
        "strangers": "ask",
        "allow": [PEER],
        "block": [OTHER],
        "exposure_wh": {"V2H": 77},
        "session_fee_micro": 5,
        "price_micro_per_kwh": 123,
    }
    policy = owner_policy(configured(owner, currency="CHF"))
    assert policy.services == ServiceBits.V2V | ServiceBits.V2H
    assert policy.reserve_permille == 250
    assert policy.departure == Departure(1_800_000_000_000, 20_000)
    assert policy.strangers is StrangerRule.ASK
    assert (policy.allow, policy.block) == (frozenset([bytes.fromhex(PEER)]), frozenset([bytes.fromhex(OTHER)]))
    assert (policy.exposure.of(Service.V2H), policy.exposure.of(Service.V2V)) == (77, 500)
    assert policy.fees == (Fee(FeeKind.SESSION, 5),)
    assert policy.tariff == FixedTariff(123)
    assert policy.currency == "CHF"


def test_what_is_not_planned_and_costs_nothing_is_left_out() -> None:
    policy = owner_policy(configured())
    assert policy.departure is None
    assert policy.fees == ()


@pytest.mark.parametrize(
    ("zone", "utc_hour", "price_micro"),
    [
        ("UTC", 5, NIGHT_MICRO),
        ("UTC", 6, DAY_MICRO),
        ("Europe/Berlin", 4, NIGHT_MICRO),
        ("Europe/Berlin", 5, DAY_MICRO),
    ],
)
def test_price_steps_follow_the_sites_clock(zone: str, utc_hour: int, price_micro: int) -> None:
    tariff = owner_policy(configured({"price_steps": STEPS}, time_zone=zone)).tariff
    assert isinstance(tariff, TimeOfUseTariff)
    at_ms = int(datetime(2026, 1, 14, utc_hour, tzinfo=UTC).timestamp() * 1000)
    assert tariff.price_at(at_ms) == price_micro


@pytest.mark.parametrize(
    "owner",
    [
        {"allow": [PEER], "block": [PEER]},
        {"price_steps": STEPS[1:]},
        {"price_steps": STEPS[::-1]},
        {"price_steps": [STEPS[0], STEPS[0]]},
        {"departure_at_ms": -1},
    ],
    ids=str,
)
def test_values_that_contradict_each_other_are_refused(owner: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="owner"):
        owner_policy(configured(owner))


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "../etc/passwd", "Europe"])
def test_a_time_zone_that_is_none_is_named(zone: str) -> None:
    with pytest.raises(ConfigError, match="time_zone"):
        site_zone(configured(time_zone=zone))
