"""A world described: batteries, loads, terminals, cables, meters, and what will go wrong when. JSON's shape is this."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from v2xnode.devices.plain import from_plain
from v2xnode.devices.plant.battery import BatterySpec
from v2xnode.devices.plant.cable import CableSpec
from v2xnode.devices.plant.load import LoadSpec
from v2xnode.devices.plant.meter import MeterSpec
from v2xnode.devices.plant.terminal import Fault, TerminalSpec
from v2xnode.devices.real_input import EvModel, LoadProfile

MAX_THINGS = 1_000
"""Of each sort in one world: more than a street, and a bound for a world file that went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A fault that comes (or goes) by itself at a world time."""

    at_ms: int
    terminal: str
    fault: Fault
    on: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """at_ms: world time of the start. grid_ms: how often limits and temperatures follow what has changed slowly."""

    batteries: Mapping[str, BatterySpec]
    loads: Mapping[str, LoadSpec] = field(default_factory=dict)
    terminals: Mapping[str, TerminalSpec]
    cables: Mapping[str, CableSpec]
    meters: Mapping[str, MeterSpec] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    at_ms: int = 0
    grid_ms: int = 1_000

    def __post_init__(self) -> None:
        if not 100 <= self.grid_ms <= 60_000:
            raise ValueError("grid_ms must be 100 to 60000")
        sorts = (self.batteries, self.loads, self.terminals, self.cables, self.meters, self.incidents)
        if max(len(sort) for sort in sorts) > MAX_THINGS:
            raise ValueError(f"at most {MAX_THINGS} of each sort")
        for name, terminal in self.terminals.items():
            _known(terminal.battery, self.batteries, f"battery of terminal {name}")
            _known(terminal.load, self.loads, f"load of terminal {name}")
        for name, meter in self.meters.items():
            _known(meter.terminal, self.terminals, f"terminal of meter {name}")
        for incident in self.incidents:
            _known(incident.terminal, self.terminals, "terminal of an incident")
        _check_ends(self)


def parse_world(plain: object) -> WorldSpec:
    """The world that a JSON document describes. Raises DeviceDataInvalid, naming the place."""
    return from_plain(WorldSpec, plain, "world")


def battery_of(model: EvModel, soc_permille: int) -> BatterySpec:
    """The battery of a real vehicle at a state of charge. Its usable energy counts, not the nominal."""
    return BatterySpec(
        capacity_wh=model.usable_energy_wh,
        energy_wh=model.usable_energy_wh * soc_permille // 1000,
        floor_wh=model.usable_energy_wh * model.discharge_floor_soc_permille // 1000,
        max_charge_w=model.dc_charge_w,
        max_discharge_w=max(model.discharge_w, model.outlet_w, 1),
        empty_voltage_mv=model.pack_min_voltage_mv,
        full_voltage_mv=model.pack_max_voltage_mv,
        taper=model.charge_taper,
        model=model.model_id,
    )


def load_of(profile: LoadProfile, start_ms: int) -> LoadSpec:
    """A real load, its day beginning at a world time."""
    return LoadSpec(power_w=profile.quarters_w, start_ms=start_ms, profile=profile.profile_id)


def _known(name: str | None, things: Mapping[str, object], what: str) -> None:
    if name is not None and name not in things:
        raise ValueError(f"{what}: no {name!r} in this world")


def _check_ends(world: WorldSpec) -> None:
    ends = [end for cable in world.cables.values() for end in (cable.provider, cable.client) if end is not None]
    for end in ends:
        _known(end, world.terminals, "end of a cable")
    if len(set(ends)) != len(ends):
        raise ValueError("a terminal has one cable at a time")
