"""What each side of the cable can do, said before an offer so that nobody agrees on what can't be plugged.

The power-path profiles and their meaning are those of the design's safety rules: who is master of the power path,
where the delivery point is, and which side's meter is the reference follow from the profile alone.
"""

from dataclasses import dataclass
from enum import IntEnum

from market.errors import Quantity, Reason, Refusal, WouldPass
from market.terms.mapping import Boolean, Choice, Integer, ListOf, Thousands, at, check
from market.units import MAX_POWER_W, Role, Service


class Connector(IntEnum):
    """The plug at the cable's end (IEC 62196 parts 2 and 3, CHAdeMO, IEC 60309, IEC 60884)."""

    CCS2 = 1
    CCS1 = 2
    CHADEMO = 3
    TYPE2 = 4
    TYPE1 = 5
    SCHUKO = 6
    CEE = 7
    NACS = 8


class CurrentKind(IntEnum):
    AC = 0
    DC = 1


class Earthing(IntEnum):
    """IEC 60364-1 earthing arrangement at the delivery point."""

    IT = 0
    TN = 1
    TT = 2


class Profile(IntEnum):
    """Power-path profile: the set of steps that the interlock walks through."""

    DC_BPT = 1
    """EV to home through a bidirectional DC wallbox (ISO 15118-20 bidirectional power transfer)."""
    DC_CONVERTER = 2
    """EV to EV through a DC/DC box between two inlets."""
    AC_OUTLET = 3
    """Socket of the EV to a load, or to another EV's portable charger."""
    AC_ISLAND = 4
    """The EV's inverter forms a small island."""

    @property
    def current_kind(self) -> CurrentKind:
        return CurrentKind.DC if self in (Profile.DC_BPT, Profile.DC_CONVERTER) else CurrentKind.AC

    @property
    def master(self) -> Role:
        """The side that runs cable check and pre-charge."""
        return Role.CLIENT if self is Profile.DC_BPT else Role.PROVIDER

    @property
    def reference_meter(self) -> Role:
        """The side whose meter counts while both agree within tolerance: the one at the delivery point."""
        return self.master

    @property
    def services(self) -> frozenset[Service]:
        return _SERVICES[self]


_SERVICES = {
    Profile.DC_BPT: frozenset({Service.V2H, Service.V2B}),
    Profile.DC_CONVERTER: frozenset({Service.V2V}),
    Profile.AC_OUTLET: frozenset({Service.V2L, Service.V2V}),
    Profile.AC_ISLAND: frozenset({Service.V2H, Service.V2B, Service.V2L}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrical:
    """One side's power path. Powers in VA, voltages in mV (on the wire in whole volts), frequency in mHz (0 for DC)."""

    connectors: tuple[Connector, ...] = at(0, ListOf(Choice(Connector), 1, 8))
    profiles: tuple[Profile, ...] = at(1, ListOf(Choice(Profile), 1, 4))
    voltage_min_mv: int = at(2, Thousands(0, 2_000))
    voltage_max_mv: int = at(3, Thousands(0, 2_000))
    continuous_va: int = at(4, Integer(1, MAX_POWER_W))
    peak_va: int = at(5, Integer(0, MAX_POWER_W), 0)
    """0: no more than `continuous_va`."""
    phases: int = at(6, Integer(0, 3), 0)
    frequency_millihz: int = at(7, Integer(0, 70_000), 0)
    earthing: Earthing = at(8, Choice(Earthing), Earthing.IT)
    isolated: bool = at(9, Boolean(), True)
    """Galvanic isolation between this side and the cable."""
    grid_forming: bool = at(10, Boolean(), False)

    def __post_init__(self) -> None:
        check(self)


def match_electrical(provider: Electrical, client: Electrical, service: Service, power_min_w: int) -> Profile | Refusal:
    """The first profile of the provider's that both sides can run for this service, or why there is none."""
    if not set(provider.connectors) & set(client.connectors):
        return Refusal(Reason.INCOMPATIBLE)
    power_w = min(provider.continuous_va, client.continuous_va)
    if power_w < power_min_w:
        return Refusal(Reason.POWER_UNAVAILABLE, WouldPass(Quantity.POWER_W, power_w))
    for profile in provider.profiles:
        if profile in client.profiles and service in profile.services and _fits(provider, client, profile):
            return profile
    return Refusal(Reason.INCOMPATIBLE)


def _fits(provider: Electrical, client: Electrical, profile: Profile) -> bool:
    low = max(provider.voltage_min_mv, client.voltage_min_mv)
    high = min(provider.voltage_max_mv, client.voltage_max_mv)
    if profile is Profile.DC_CONVERTER:
        return True  # the box between the two inlets makes each side's voltage
    if low > high:
        return False
    if profile.current_kind is CurrentKind.DC:
        return provider.isolated or client.isolated
    same_wave = provider.frequency_millihz == client.frequency_millihz and provider.phases >= client.phases
    if profile is Profile.AC_ISLAND:  # the house's own installation becomes part of the island, earthing and all
        return same_wave and provider.grid_forming and provider.earthing is client.earthing
    return same_wave
