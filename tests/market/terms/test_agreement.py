"""Twin of market/terms/agreement.py: the rules between fields. Bounds and maps: test_messages.py."""

from dataclasses import dataclass
from typing import Any

import pytest

from market.errors import Quantity, Reason, TermsInvalid, WouldPass
from market.terms import Decline, Fee, FeeKind, Limit, PriceKind, PriceStep, Profile, acceptable
from market.terms.agreement import within
from market.units import Role
from tests.market.world import OFFER, REQUEST_ID, offer, request


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"energy_min_wh": 5_001}, "energy_min_wh"),
        ({"power_min_w": 11_001}, "power_min_w"),
        ({"place": (1,)}, "place"),
    ],
)
def test_a_request_is_consistent(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        request(**changes)
    assert refused.value.field == field


def steps(*edges: int) -> tuple[PriceStep, ...]:
    return tuple(PriceStep(edge, 1) for edge in edges)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"price_steps": steps(5)}, "price_steps"),
        ({"price_steps": steps(0, 5)}, "price_steps"),
        ({"price_steps": ()}, "price_steps"),
        ({"price_kind": PriceKind.TIERED, "price_steps": steps(1, 5)}, "price_steps"),
        ({"price_kind": PriceKind.TIERED, "price_steps": steps(0, 5, 5)}, "price_steps"),
        ({"price_kind": PriceKind.TIME_OF_USE, "price_steps": steps(9, 5)}, "price_steps"),
        ({"price_kind": PriceKind.TIERED, "price_steps": steps(*range(25))}, "price_steps"),
        ({"reference": Role.CLIENT}, "reference"),
        ({"profile": Profile.DC_BPT, "reference": Role.PROVIDER}, "reference"),
        ({"fees": (Fee(FeeKind.TRAVEL, 1), Fee(FeeKind.SESSION, 1))}, "fees"),
        ({"fees": (Fee(FeeKind.SESSION, 1),) * 2}, "fees"),
        ({"fees": (Fee(FeeKind.SESSION, 0),)}, "fees"),
    ],
)
def test_an_offer_is_consistent(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        offer(**changes)
    assert refused.value.field == field


def test_a_tariff_may_begin_at_any_minute() -> None:
    made = offer(price_kind=PriceKind.TIME_OF_USE, price_steps=steps(29_000_000, 29_000_060))
    assert made.energy_wh == OFFER.energy_wh


def test_a_value_that_would_pass_travels_in_a_decline() -> None:
    would_pass = WouldPass(Quantity.ENERGY_WH, 4_000)
    said = Decline(REQUEST_ID, Reason.ENERGY_UNAVAILABLE, acceptable(would_pass))
    assert said.acceptable == (Limit(Quantity.ENERGY_WH, 4_000),)
    assert said.would_pass == would_pass
    assert Decline(REQUEST_ID, Reason.BUSY, acceptable(None)).would_pass is None


@dataclass(frozen=True, slots=True)
class Plain:
    size: Any


@pytest.mark.parametrize("size", [0, 5, Role.CLIENT])
def test_a_plain_field_within_its_bounds_passes(size: int) -> None:
    within(Plain(size), "size", 0, 5)


@pytest.mark.parametrize("size", [-1, 6, True, 1.0, "1", None])
def test_a_plain_field_out_of_its_bounds_is_refused(size: object) -> None:
    with pytest.raises(TermsInvalid, match=r"Plain\.size: must be an integer from 0 to 5"):
        within(Plain(size), "size", 0, 5)
