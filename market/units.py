"""Integer units and their bounds. The unit stands last in every name; no float holds energy or money.

Wh and W are at the delivery point unless a name says otherwise; `micro` is a millionth of the currency's main unit
(1 EUR = 1,000,000); `ms` are milliseconds; `at_ms` counts from 1970-01-01 UTC.
"""

from enum import IntEnum, IntFlag

MICRO = 1_000_000
MS_PER_SECOND = 1_000
MS_PER_MINUTE = 60_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 86_400_000
WH_PER_KWH = 1_000

MAX_ENERGY_WH = 10_000_000
"""10 MWh: above any vehicle or home; a larger figure is a mistake or an attack."""
MAX_REGISTER_WH = 2**48
"""A cumulative register: a lifetime of metering, far from overflow of 64 bits after every multiplication here."""
MAX_POWER_W = 10_000_000
MAX_PRICE_MICRO_PER_KWH = 1_000 * MICRO
"""1,000 of the currency a kWh. With `MAX_ENERGY_WH` an amount stays below 2**63 with room for fees."""
MAX_AMOUNT_MICRO = 2**62
MAX_AT_MS = 2**42
"""Year 2109."""
MAX_DURATION_MS = 31 * MS_PER_DAY
PPM = 1_000_000


class Service(IntEnum):
    """What the energy is for (deliverable 3.1, section 2.1.4). V2B has V2H's messages under its own code."""

    V2V = 1
    V2L = 2
    V2H = 3
    V2B = 4

    @property
    def bit(self) -> "ServiceBits":
        return ServiceBits(1 << (self - 1))


class ServiceBits(IntFlag):
    """The services that a node offers or wants, as the four bits of an announcement and of Hello."""

    V2V = 1
    V2L = 2
    V2H = 4
    V2B = 8


class Role(IntEnum):
    """Who gives the energy and who takes it (deliverable 3.1, section 3.1.4: server and client)."""

    PROVIDER = 0
    CLIENT = 1

    @property
    def other(self) -> "Role":
        return Role.CLIENT if self is Role.PROVIDER else Role.PROVIDER


def energy_cost_micro(energy_wh: int, price_micro_per_kwh: int) -> int:
    """The cost of a cumulative quantity, rounded half up once; callers difference it, so that rounding can't drift."""
    return (energy_wh * price_micro_per_kwh + WH_PER_KWH // 2) // WH_PER_KWH


def energy_at_power_wh(power_w: int, duration_ms: int) -> int:
    """Whole Wh that `power_w` gives in `duration_ms`, rounded down."""
    return power_w * duration_ms // MS_PER_HOUR


def rounded_up(dividend: int, divisor: int) -> int:
    """A quotient, rounded up."""
    return -(dividend // -divisor)
