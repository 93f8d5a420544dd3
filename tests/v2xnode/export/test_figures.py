"""Integers become decimal fractions without a float on the way."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.units import MAX_AMOUNT_MICRO
from v2xnode.export.figures import four, hours, json_text, kwh, money, rfc3339


@given(st.integers(-MAX_AMOUNT_MICRO, MAX_AMOUNT_MICRO))
def test_no_digit_is_lost(number: int) -> None:
    assert int(kwh(number) * 1_000) == number
    assert int(money(number) * 1_000_000) == number
    assert f"{money(number):f}".partition(".")[2].isdigit()


@pytest.mark.parametrize(
    ("micro", "text"), [(49, "0.0000"), (50, "0.0001"), (-50, "-0.0001"), (95_002, "0.0950"), (95_050, "0.0951")]
)
def test_half_of_the_fourth_digit_is_rounded_away_from_zero(micro: int, text: str) -> None:
    assert f"{four(money(micro)):f}" == text


def test_hours() -> None:
    assert hours(180_000) == Decimal("0.0500")


def test_times_are_utc() -> None:
    assert rfc3339(1_768_415_520_000) == "2026-01-14T18:32:00Z"
    assert rfc3339(1_768_415_520_001) == "2026-01-14T18:32:00.001Z"


def test_json_keeps_the_digits_and_refuses_floats() -> None:
    value = {"a": [Decimal("0.300"), 7, True, None], "b": 'say "é"'}
    assert json_text(value) == '{"a":[0.300,7,true,null],"b":"say \\"\\u00e9\\""}'
    assert json.loads(json_text(value), parse_float=Decimal) == value
    with pytest.raises(TypeError):
        json_text(0.3)
