"""Twin of market/policy/owner.py."""

from typing import Any

import pytest

from market.errors import TermsInvalid
from market.policy import Departure, ExposureLimits
from market.terms import Fee, FeeKind
from market.units import Service
from tests.market.world import CLIENT, OTHER, policy


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"services": 16}, "services"),
        ({"reserve_permille": 1_001}, "reserve_permille"),
        ({"reserve_permille": 0.3}, "reserve_permille"),
        ({"max_power_w": -1}, "max_power_w"),
        ({"daily_cap_wh": -1}, "daily_cap_wh"),
        ({"price_tell_micro_per_kwh": -1}, "price_tell_micro_per_kwh"),
        ({"price_stop_micro_per_kwh": 10**9 + 1}, "price_stop_micro_per_kwh"),
        ({"debt_cap_micro": -1}, "debt_cap_micro"),
        ({"stranger_debt_cap_micro": -1}, "stranger_debt_cap_micro"),
        ({"tax_permyriad": 10_001}, "tax_permyriad"),
        ({"allow": frozenset({b"short"})}, "allow"),
        ({"block": frozenset({"x" * 32})}, "block"),
        ({"allow": frozenset({CLIENT, OTHER}), "block": frozenset({OTHER})}, "block"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "EURO"}, "currency"),
        ({"fees": (Fee(FeeKind.TRAVEL, 1), Fee(FeeKind.SESSION, 1))}, "fees"),
        ({"fees": (Fee(FeeKind.SESSION, 0),)}, "amount_micro"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        policy(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize("changes", [{"at_ms": -1, "energy_wh": 0}, {"at_ms": 0, "energy_wh": 10_000_001}])
def test_a_departure_has_bounds(changes: dict[str, int]) -> None:
    with pytest.raises(TermsInvalid):
        Departure(**changes)


def test_each_service_has_an_exposure_of_its_own() -> None:
    limits = ExposureLimits(v2v_wh=10, v2l_wh=20, v2h_wh=30, v2b_wh=40)
    assert [limits.of(service) for service in Service] == [10, 20, 30, 40]


def test_an_exposure_has_room_for_an_interval() -> None:
    with pytest.raises(TermsInvalid):
        ExposureLimits(v2h_wh=1)
