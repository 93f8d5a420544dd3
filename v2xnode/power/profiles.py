"""What the power path adds to the profiles of `market.terms`: who needs a permit, and how the plug is proven."""

from dataclasses import dataclass
from enum import StrEnum

from market.terms import CurrentKind, Profile
from market.units import Role
from v2xnode.devices.interface import Direction


class PatternKind(StrEnum):
    """What the master puts on the cable so that both sides can compare what they read there."""

    VOLTAGE_STEPS = "voltage_steps"
    PILOT = "pilot"


@dataclass(frozen=True, slots=True)
class PathProfile:
    """needs_permit: the sides whose device opens without one."""

    profile: Profile
    needs_permit: frozenset[Role]

    @property
    def dc(self) -> bool:
        return self.profile.current_kind is CurrentKind.DC

    @property
    def master(self) -> Role:
        """The side whose device leads the power path, emits the pattern and watches the insulation."""
        return self.profile.master

    @property
    def pattern(self) -> PatternKind:
        return PatternKind.VOLTAGE_STEPS if self.dc else PatternKind.PILOT


_BOTH = frozenset(Role)
_PROVIDER = frozenset({Role.PROVIDER})

PROFILES = {
    each.profile: each
    for each in (
        PathProfile(Profile.DC_BPT, _BOTH),
        PathProfile(Profile.DC_CONVERTER, _BOTH),
        PathProfile(Profile.AC_OUTLET, _PROVIDER),
        PathProfile(Profile.AC_ISLAND, _PROVIDER),
    )
}


def direction_of(role: Role) -> Direction:
    """Which way energy goes, seen from one side."""
    return Direction.OUT if role is Role.PROVIDER else Direction.IN
