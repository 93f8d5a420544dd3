"""Twin of market/units.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.units import (
    MAX_AMOUNT_MICRO,
    MAX_ENERGY_WH,
    MAX_POWER_W,
    MAX_PRICE_MICRO_PER_KWH,
    MS_PER_HOUR,
    Role,
    Service,
    ServiceBits,
    energy_at_power_wh,
    energy_cost_micro,
    rounded_up,
)


@pytest.mark.parametrize(
    ("energy_wh", "price", "cost"),
    [(1_000, 300_000, 300_000), (1, 499, 0), (1, 500, 1), (3, 500, 2), (0, 300_000, 0)],
)
def test_cost_is_rounded_half_up(energy_wh: int, price: int, cost: int) -> None:
    assert energy_cost_micro(energy_wh, price) == cost


def test_the_dearest_energy_fits_the_ledgers_integers() -> None:
    assert energy_cost_micro(MAX_ENERGY_WH, MAX_PRICE_MICRO_PER_KWH) < MAX_AMOUNT_MICRO < 2**63


def test_energy_at_power_is_rounded_down() -> None:
    assert energy_at_power_wh(11_000, MS_PER_HOUR) == 11_000
    assert energy_at_power_wh(1_000, MS_PER_HOUR // 1_000 - 1) == 0


@given(dividend=st.integers(0, 10**15), divisor=st.integers(1, MAX_POWER_W))
def test_rounded_up_is_the_least_that_covers(dividend: int, divisor: int) -> None:
    quotient = rounded_up(dividend, divisor)
    assert (quotient - 1) * divisor < dividend <= quotient * divisor


def test_each_service_has_a_bit_of_its_own() -> None:
    assert [service.bit for service in Service] == list(ServiceBits)


def test_roles_are_each_others_other() -> None:
    assert Role.PROVIDER.other is Role.CLIENT
    assert Role.CLIENT.other is Role.PROVIDER
