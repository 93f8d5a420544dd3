"""The four ways to join a provider and a client, as data: an agreement names one."""

from dataclasses import dataclass
from enum import StrEnum

from v2xnode.devices.interface import Direction, Profile, Side


class PatternKind(StrEnum):
    """What the master puts on the cable so that both sides can compare what they read there."""

    VOLTAGE_STEPS = "voltage_steps"
    PILOT = "pilot"


class Service(StrEnum):
    """Vehicle to vehicle, to a stand-alone load, to a home."""

    V2V = "V2V"
    V2L = "V2L"
    V2H = "V2H"


class SilenceRule(StrEnum):
    """What the provider does when the client falls silent: off within the permit, or on until the energy not yet
    receipted reaches the agreed exposure, then a warned shutdown. Never past the reserve."""

    OFF_WITHIN_PERMIT = "off_within_permit"
    ON_TO_EXPOSURE = "on_to_exposure"


@dataclass(frozen=True, slots=True)
class LossRule:
    """What the client pays between delivery point and own meter: standby_w all the time, loss_ppm of the energy."""

    standby_w: int
    loss_ppm: int


@dataclass(frozen=True, slots=True)
class PathProfile:
    """master: the side whose device leads the power path, emits the pattern and watches the insulation.
    meter_side: where the delivery point is. needs_permit: the sides whose device opens without one.
    loss_rule: proposed in an offer that says nothing else."""

    profile: Profile
    dc: bool
    master: Side
    meter_side: Side
    needs_permit: frozenset[Side]
    pattern: PatternKind
    loss_rule: LossRule


_BOTH = frozenset(Side)
_PROVIDER = frozenset({Side.PROVIDER})
_PILOT = PatternKind.PILOT
_STEPS = PatternKind.VOLTAGE_STEPS

PROFILES = {
    profile.profile: profile
    for profile in (
        PathProfile(Profile.DC_BPT, True, Side.CLIENT, Side.CLIENT, _BOTH, _STEPS, LossRule(0, 5_000)),
        PathProfile(Profile.DC_CONVERTER, True, Side.PROVIDER, Side.PROVIDER, _BOTH, _STEPS, LossRule(30, 30_000)),
        PathProfile(Profile.AC_OUTLET, False, Side.PROVIDER, Side.PROVIDER, _PROVIDER, _PILOT, LossRule(0, 10_000)),
        PathProfile(Profile.AC_ISLAND, False, Side.PROVIDER, Side.PROVIDER, _PROVIDER, _PILOT, LossRule(0, 10_000)),
    )
}
"""By name. The loss rules are assumed: a few metres of cable lose under 1 % at rated current, a DC/DC box 3 %."""

SERVICES = {
    Service.V2V: (SilenceRule.OFF_WITHIN_PERMIT, frozenset({Profile.DC_CONVERTER, Profile.AC_OUTLET})),
    Service.V2L: (SilenceRule.ON_TO_EXPOSURE, frozenset({Profile.AC_OUTLET})),
    Service.V2H: (SilenceRule.ON_TO_EXPOSURE, frozenset({Profile.DC_BPT, Profile.AC_ISLAND})),
}
"""The silence rule of each service, and the profiles that it can use."""


def direction_of(side: Side) -> Direction:
    """Which way energy goes, seen from a side."""
    return Direction.OUT if side is Side.PROVIDER else Direction.IN
