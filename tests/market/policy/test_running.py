"""Twin of market/policy/running.py."""

from dataclasses import replace
from typing import Any

import pytest

from market.errors import Reason
from market.policy import Departure, Running, Window, allowed_power_w, recheck_running
from market.terms import LossRule
from market.units import MS_PER_HOUR, Service, ServiceBits
from tests.market.world import BATTERY, CLIENT, NOW_MS, OFFER, battery, committed, offer, policy

END_MS = NOW_MS + MS_PER_HOUR
RUNNING = Running(
    offer=OFFER,
    service=Service.V2V,
    client_key=CLIENT,
    window=Window(NOW_MS, END_MS),
    delivered_wh=1_000,
    owed_micro=300_000,
    ahead_wh=10,
)


def recheck(now_ms: int = NOW_MS + 1, clock_trusted: bool = True, **changes: Any) -> Reason | None:
    return recheck_running(
        changes.get("running", RUNNING),
        policy(**changes.get("limits", {})),
        changes.get("battery", BATTERY),
        committed(**changes.get("commitments", {})),
        now_ms,
        clock_trusted,
    )


def test_within_all_limits_it_goes_on() -> None:
    assert recheck() is None
    assert recheck(battery=None) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"limits": {"block": frozenset({CLIENT})}}, Reason.STOPPED_BY_OWNER),
        ({"limits": {"services": ServiceBits.V2H}}, Reason.STOPPED_BY_OWNER),
        ({"now_ms": END_MS}, Reason.WINDOW_ENDED),
        ({"now_ms": END_MS - 1}, None),
        ({"now_ms": END_MS, "clock_trusted": False}, None),
        ({"limits": {"departure": Departure(NOW_MS + 1, 0)}}, Reason.DEPARTURE_REACHED),
        ({"limits": {"departure": Departure(NOW_MS + 2, 0)}}, None),
        ({"limits": {"departure": Departure(NOW_MS, 0)}}, None),
        ({"limits": {"departure": Departure(NOW_MS + 1, 0)}, "clock_trusted": False}, None),
        ({"limits": {"departure": Departure(NOW_MS + 2, 43_000)}}, Reason.RESERVE_REACHED),
        ({"limits": {"departure": Departure(1, 43_000)}, "clock_trusted": False}, Reason.RESERVE_REACHED),
        ({"battery": battery(usable_wh=15_010)}, None),
        ({"battery": battery(usable_wh=15_009)}, Reason.RESERVE_REACHED),
        ({"battery": battery(usable_wh=15_010, loss=LossRule(0, 1))}, Reason.RESERVE_REACHED),
        ({"limits": {"reserve_permille": 717}}, Reason.RESERVE_REACHED),
        ({"limits": {"daily_cap_wh": 1_510}, "commitments": {"delivered_today_wh": 500}}, None),
        ({"limits": {"daily_cap_wh": 1_509}, "commitments": {"delivered_today_wh": 500}}, Reason.DAILY_CAP_REACHED),
        ({"limits": {"debt_cap_micro": 300_000}}, None),
        ({"limits": {"debt_cap_micro": 300_000}, "commitments": {"peer_debt_micro": 1}}, Reason.DEBT_CAP),
        ({"limits": {"stranger_debt_cap_micro": 299_999}}, Reason.STRANGER_DEBT_CAP),
        ({"limits": {"stranger_debt_cap_micro": 299_999}, "commitments": {"peer_known": True}}, None),
        ({"limits": {"stranger_debt_cap_micro": 299_999, "allow": frozenset({CLIENT})}}, None),
    ],
)
def test_each_limit_is_in_force_at_once(changes: dict[str, Any], reason: Reason | None) -> None:
    assert recheck(**changes) is reason


def test_what_may_still_flow_counts() -> None:
    assert recheck(running=replace(RUNNING, ahead_wh=25_000)) is None
    assert recheck(running=replace(RUNNING, ahead_wh=25_001)) is Reason.RESERVE_REACHED


@pytest.mark.parametrize(
    ("max_power_w", "max_discharge_w", "allowed_w"),
    [(20_000, 50_000, 10_000), (7_000, 50_000, 7_000), (20_000, 6_300, 6_000), (20_000, 0, 0)],
)
def test_power_follows_owner_and_battery_and_never_rises_above_the_agreement(
    max_power_w: int, max_discharge_w: int, allowed_w: int
) -> None:
    limited = battery(max_discharge_w=max_discharge_w, loss=LossRule(0, 50_000))
    assert allowed_power_w(OFFER, policy(max_power_w=max_power_w), limited) == allowed_w


def test_without_a_battery_the_owner_limits_power() -> None:
    assert allowed_power_w(offer(), policy(max_power_w=4_000), None) == 4_000
