"""Integers as others write them: decimal fractions, times, and JSON whose numbers are exactly those."""

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from market.units import MICRO, MS_PER_HOUR, WH_PER_KWH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KWH, _UNIT, _FOUR = Decimal("0.001"), Decimal("0.000001"), Decimal("0.0001")


def kwh(energy_wh: int) -> Decimal:
    """Exactly, with three digits."""
    return (Decimal(energy_wh) / WH_PER_KWH).quantize(_KWH)


def money(amount_micro: int) -> Decimal:
    """The currency's main unit, exactly, with six digits."""
    return (Decimal(amount_micro) / MICRO).quantize(_UNIT)


def hours(duration_ms: int) -> Decimal:
    """With four digits."""
    return four(Decimal(duration_ms) / MS_PER_HOUR)


def four(value: Decimal) -> Decimal:
    """With four digits, half rounded away from zero."""
    return value.quantize(_FOUR, ROUND_HALF_UP)


def moment(at_ms: int) -> datetime:
    """UTC, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def rfc3339(at_ms: int) -> str:
    """UTC with Z; milliseconds where there are any."""
    precision = "milliseconds" if at_ms % 1000 else "seconds"
    return moment(at_ms).isoformat(timespec=precision).replace("+00:00", "Z")


def json_text(value: Any) -> str:
    """JSON in one line without blanks. A Decimal is written digit for digit; floats are refused with TypeError."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(str(key))}:{json_text(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(json_text, value)) + "]"
        case Decimal():
            return f"{value:f}"
        case float():
            raise TypeError("a float holds no figure of ours")
        case _:
            return json.dumps(value)
