"""What a device feels of the plant from its own end of the cable."""

from typing import TYPE_CHECKING

from market.units import Role
from v2xnode.devices.interface import Insulation, PathSense, Pilot
from v2xnode.devices.plant.path import Path, inner_mv, live_mv
from v2xnode.devices.plant.quantity import watts_shown
from v2xnode.devices.plant.terminal import Fault, Terminal

if TYPE_CHECKING:
    from v2xnode.devices.plant.plant import Plant

HOT_MILLICELSIUS = 80_000
"""What a bad contact adds."""

PRECHARGE_MA = 800
PRECHARGE_SHORT_MA = 5_000
"""What pre-charging draws while its voltage rises, healthy (t5 allows 2 A) and into a short."""


def sense(plant: "Plant", terminal: Terminal) -> PathSense:
    """All values of this moment (see `PathSense`)."""
    path = plant.path_of(terminal)
    output_mv = _output_mv(plant, terminal, path)
    limit_w, reason = _limit(plant, terminal)
    battery = terminal.spec.battery
    on_inner_bus = terminal.is_master and terminal.kind.inner_bus
    return PathSense(
        at_ms=plant.now_ms,
        plugged=path is not None,
        locked=terminal.locked,
        pilot=_pilot(terminal, path),
        earth_ok=path is not None and Fault.EARTH not in path.provider.faults | path.client.faults,
        ready=path is not None and path.ready(plant.now_ms),
        monitor_on=terminal.monitor_on or Fault.SECOND_MONITOR in terminal.faults,
        insulation=_insulation(plant, path),
        insulation_ohm=0 if path is None else path.insulation_ohm,
        output_voltage_mv=output_mv,
        bus_voltage_mv=inner_mv(plant, terminal) if on_inner_bus else output_mv,
        battery_voltage_mv=None if battery is None else plant.batteries[battery].voltage_mv,
        current_ma=_current_ma(plant, terminal, path),
        power_w=watts_shown(terminal.flow_mw),
        contactor_closed=terminal.closed,
        connector_millicelsius=terminal.heat.millicelsius + HOT_MILLICELSIUS * (Fault.HOT in terminal.faults),
        max_power_w=limit_w,
        limit_reason=reason,
        permit_left_ms=0 if terminal.permit is None else terminal.permit.until_ms - plant.now_ms,
        pattern_read=_pattern(plant, terminal, path),
        faults=_own_faults(terminal),
        **_ac_feedback(plant, terminal, path),
    )


def _output_mv(plant: "Plant", terminal: Terminal, path: Path | None) -> int:
    if path is None:
        return 0
    sign = -1 if Fault.REVERSED in terminal.faults else 1
    voltage_mv = live_mv(plant, path)
    high = terminal.conducts and Fault.OVERVOLTAGE in terminal.faults
    return sign * (voltage_mv + voltage_mv // 2 * high)


def _pilot(terminal: Terminal, path: Path | None) -> Pilot:
    if path is None:
        return Pilot.UNPLUGGED
    if Fault.PILOT in path.provider.faults | path.client.faults:
        return Pilot.FAULT
    return Pilot.READY if path.follower.pilot_ready and _island_proven(path) else Pilot.PLUGGED


def _island_proven(path: Path) -> bool:
    """In an island the house's transfer switch closes the pilot by wire: live feedback, not an attestation."""
    lost = {Fault.GRID_CLOSED, Fault.GRID_LIVE, Fault.UNBONDED}
    return not path.follower.kind.island or not path.follower.faults & lost


def _insulation(plant: "Plant", path: Path | None) -> Insulation:
    if path is None or not path.master.kind.dc or path.master.checking_since_ms is None:
        return Insulation.UNTESTED
    if path.ready(plant.now_ms):
        return Insulation.VALID
    bad = Fault.INSULATION in path.provider.faults | path.client.faults
    return Insulation.FAULT if bad else Insulation.TESTING


def _current_ma(plant: "Plant", terminal: Terminal, path: Path | None) -> int:
    if path is None:
        return 0
    if terminal.flow_mw:
        voltage_mv = live_mv(plant, path)
        return terminal.flow_mw * 1000 // voltage_mv if voltage_mv else 0
    if terminal.is_master and path.cable.precharging:
        if Fault.PRECHARGE_SHORT in terminal.faults:
            return PRECHARGE_SHORT_MA
        return PRECHARGE_MA if plant.now_ms < path.cable.ramp.end_ms else 0
    return 0


def _limit(plant: "Plant", terminal: Terminal) -> tuple[int, str]:
    if terminal.spec.battery is None:
        return terminal.spec.max_power_w, ""
    battery, grid_ms = plant.batteries[terminal.spec.battery], plant.world.grid_ms
    charging = terminal.spec.role is Role.CLIENT
    limit_mw = battery.charge_limit_mw(grid_ms) if charging else battery.discharge_limit_mw(grid_ms)
    if limit_mw >= terminal.spec.max_power_w * 1000:
        return terminal.spec.max_power_w, ""
    return limit_mw // 1000, battery.limit_reason(charging, grid_ms)


def _pattern(plant: "Plant", terminal: Terminal, path: Path | None) -> int | None:
    if path is None or Fault.DEAF in terminal.faults:
        return None
    return path.cable.pattern_since(terminal.reads_since_ms, plant.now_ms)


def _own_faults(terminal: Terminal) -> tuple[str, ...]:
    own = ["converter fault"] if Fault.DEVICE in terminal.faults else []
    return tuple(own + ([terminal.tripped] if terminal.tripped else []))


def _ac_feedback(plant: "Plant", terminal: Terminal, path: Path | None) -> dict[str, bool]:
    feedback: dict[str, bool] = {}
    if terminal.is_master and not terminal.kind.dc:
        feedback["rcd_ok"] = path is not None and path.ready(plant.now_ms)
    if terminal.kind.island and terminal.spec.role is Role.CLIENT:
        feedback["grid_open"] = Fault.GRID_CLOSED not in terminal.faults
        feedback["grid_dead"] = Fault.GRID_LIVE not in terminal.faults
        feedback["neutral_bonded"] = Fault.UNBONDED not in terminal.faults
    return feedback
