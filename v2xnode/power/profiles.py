"""What the power path adds to the profiles of `market.terms`: which sides need a permit, and which way energy goes."""

from dataclasses import dataclass

from market.terms import CurrentKind, Profile
from market.units import Role
from v2xnode.devices.interface import Direction


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
