"""What is physically true of each way to join two sides: the master, AC or DC, whose device needs a permit."""

from dataclasses import dataclass

from v2xnode.devices.interface import Profile, Side


@dataclass(frozen=True, slots=True)
class Kind:
    """needs_permit: the sides whose device opens without one. inner_bus: the master's converter stands between its
    battery's contactor and the cable. island: the client's house must be proven cut from the grid."""

    master: Side
    dc: bool
    needs_permit: frozenset[Side]
    inner_bus: bool = False
    island: bool = False


BOTH = frozenset(Side)
KINDS = {
    Profile.DC_BPT: Kind(Side.CLIENT, True, BOTH),
    Profile.DC_CONVERTER: Kind(Side.PROVIDER, True, BOTH, inner_bus=True),
    Profile.AC_OUTLET: Kind(Side.PROVIDER, False, frozenset({Side.PROVIDER})),
    Profile.AC_ISLAND: Kind(Side.PROVIDER, False, frozenset({Side.PROVIDER}), island=True),
}
