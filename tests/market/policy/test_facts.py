"""Twin of market/policy/facts.py."""

from typing import Any

import pytest

from market.errors import TermsInvalid
from market.policy import Window
from market.terms import LossRule
from tests.market.world import BATTERY, CLIENT, battery, case, committed, policy


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"capacity_wh": 0}, "capacity_wh"),
        ({"usable_wh": -1}, "usable_wh"),
        ({"maker_floor_wh": 1.0}, "maker_floor_wh"),
        ({"max_discharge_w": -1}, "max_discharge_w"),
        ({"loss": LossRule(-1, 0)}, "standby_w"),
        ({"loss": LossRule(0, 500_001)}, "loss_ppm"),
    ],
)
def test_a_battery_has_bounds(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        battery(**changes)
    assert refused.value.field == field


def test_what_is_stored_counts_from_empty() -> None:
    assert BATTERY.stored_wh == 43_000


@pytest.mark.parametrize("bounds", [(5, 5), (6, 5), (-1, 5)])
def test_a_window_runs_forward(bounds: tuple[int, int]) -> None:
    with pytest.raises(TermsInvalid):
        Window(*bounds)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"locked_wh": -1}, "locked_wh"),
        ({"promised_wh": -1}, "promised_wh"),
        ({"delivered_today_wh": -1}, "delivered_today_wh"),
        ({"peer_debt_micro": 2**62 + 1}, "peer_debt_micro"),
        ({"strangers_debt_micro": 0.5}, "strangers_debt_micro"),
    ],
)
def test_commitments_have_bounds(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        committed(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize("changes", [{"client_key": b"short"}, {"now_ms": -1}])
def test_a_case_names_a_peer_and_a_time(changes: dict[str, Any]) -> None:
    with pytest.raises(TermsInvalid):
        case(**changes)


def test_a_stranger_is_neither_known_nor_listed() -> None:
    assert case().is_stranger
    assert not case(commitments=committed(peer_known=True)).is_stranger
    assert not case(policy=policy(allow=frozenset({CLIENT}))).is_stranger
    assert case(commitments=committed(owner_said_yes=True)).is_stranger
