"""The terms of an offer that follow from the power-path profile and the service alone."""

from dataclasses import dataclass
from typing import Final

from market.terms import LossRule, Profile, SilenceRule, Tolerance
from market.units import Service

METER_CLASS_PPM: Final = 10_000
"""1 %: active-energy meters of class B (EN 50470-3), direct-current ones of class 1 (IEC 62053-41)."""
LOSS_SPREAD_PPM: Final = 10_000
"""How far a real cable or converter may be from the rule (assumed): honest meters must not end a delivery."""
FLOOR_WH: Final = 20
"""Registers in whole Wh on both sides, and clocks that differ by a second or two at 22 kW (assumed)."""

INTERVAL_MS: Final = 60_000
"""The longest interval (protocol, Exposure and silence)."""
START_WITHIN_MS: Final = 300_000
"""From Confirm, or from the agreed start, to power: time to walk to the car and plug in (assumed)."""
PAUSE_MAX_MS: Final = 600_000
TTL_MS: Final = 60_000
"""How long an offer holds: a person's look at it, and one repetition on a slow link (assumed)."""


@dataclass(frozen=True, slots=True)
class PathTerms:
    """What may get lost between the two meters of a profile, and how far they may differ beyond that."""

    loss: LossRule
    tolerance: Tolerance = Tolerance(FLOOR_WH, 2 * METER_CLASS_PPM + LOSS_SPREAD_PPM)


PATH_TERMS: Final = {
    Profile.DC_BPT: PathTerms(LossRule(standby_w=5, loss_ppm=5_000)),  # a wallbox's cable; assumed
    Profile.DC_CONVERTER: PathTerms(LossRule(standby_w=10, loss_ppm=20_000)),  # a DC/DC box of 98 %; assumed
    Profile.AC_OUTLET: PathTerms(LossRule(standby_w=2, loss_ppm=10_000)),  # 10 m of 2.5 mm² at 16 A; assumed
    Profile.AC_ISLAND: PathTerms(LossRule(standby_w=5, loss_ppm=5_000)),  # a fixed supply cable; assumed
}


def silence_rule(service: Service) -> SilenceRule:
    """When the client falls silent, a car is switched off; for a home or a load the blackout may be the greater harm
    (safety rules)."""
    return SilenceRule.POWER_OFF if service is Service.V2V else SilenceRule.TO_EXPOSURE
