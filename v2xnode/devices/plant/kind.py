"""What is physically true of each way to join two sides: the master, AC or DC, whose device needs a permit."""

from dataclasses import dataclass

from market.terms import Profile
from market.units import Role


@dataclass(frozen=True, slots=True)
class Kind:
    """needs_permit: the sides whose device opens without one. inner_bus: the master's converter stands between its
    battery's contactor and the cable. island: the client's house must be proven cut from the grid."""

    master: Role
    dc: bool
    needs_permit: frozenset[Role]
    inner_bus: bool = False
    island: bool = False


BOTH = frozenset(Role)
KINDS = {
    Profile.DC_BPT: Kind(Role.CLIENT, True, BOTH),
    Profile.DC_CONVERTER: Kind(Role.PROVIDER, True, BOTH, inner_bus=True),
    Profile.AC_OUTLET: Kind(Role.PROVIDER, False, frozenset({Role.PROVIDER})),
    Profile.AC_ISLAND: Kind(Role.PROVIDER, False, frozenset({Role.PROVIDER}), island=True),
}
