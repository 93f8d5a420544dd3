"""What each command does to the plant: one function a command, the table at the end.

The device refuses what it can judge for itself, and writes a `violation` for what no node should have asked.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from market.units import Role
from v2xnode.devices.errors import DeviceRefused
from v2xnode.devices.interface import (
    CableCheck,
    Close,
    Direction,
    Emit,
    Lock,
    Open,
    PathCommand,
    Permit,
    PilotReady,
    Port,
    Precharge,
    SetPower,
    Unlock,
)
from v2xnode.devices.plant.path import Path, inner_mv, live_mv
from v2xnode.devices.plant.quantity import Ramp
from v2xnode.devices.plant.terminal import Fault, HeldPermit, Terminal

if TYPE_CHECKING:
    from v2xnode.devices.plant.plant import Plant

TOUCH_LIMIT_MV = 60_000
"""At and above this DC voltage a connector stays locked (deliverable 3.1, t1b and t16)."""

INRUSH_LIMIT_MV = 20_000
"""Closing on a larger difference is a violation (t6, t7)."""


def obey(plant: "Plant", terminal: Terminal, command: PathCommand) -> None:
    """Do one command. Raises DeviceRefused and then has changed nothing."""
    DOINGS[type(command)](plant, terminal, command)


def _refuse(code: str, sentence: str) -> DeviceRefused:
    return DeviceRefused(sentence, code=code)


def _plugged(plant: "Plant", terminal: Terminal) -> Path:
    path = plant.path_of(terminal)
    if path is None:
        raise _refuse("not_plugged", "No fitting cable joins two devices here.")
    return path


def _only_master(terminal: Terminal) -> None:
    if not terminal.is_master:
        raise _refuse("not_this_side", "This side does not lead the power path.")


def _lock(plant: "Plant", terminal: Terminal, _: Lock) -> None:
    _plugged(plant, terminal)
    terminal.tripped = ""
    _move_lock(plant, terminal, True)


def _unlock(plant: "Plant", terminal: Terminal, _: Unlock) -> None:
    path = plant.path_of(terminal)
    if path is not None and live_mv(plant, path) >= TOUCH_LIMIT_MV:
        plant.log.write(plant.now_ms, "violation", terminal=terminal.name, rule="unlock_live")
        raise _refuse("live", "The connector still carries a dangerous voltage.")
    terminal.monitor_on = False
    _move_lock(plant, terminal, False)


def _move_lock(plant: "Plant", terminal: Terminal, locked: bool) -> None:
    if terminal.locked is not locked and Fault.LOCK_JAM not in terminal.faults:
        terminal.locked = locked
        plant.log.write(plant.now_ms, "lock", terminal=terminal.name, locked=locked)


def _pilot(plant: "Plant", terminal: Terminal, command: PilotReady) -> None:
    if terminal.is_master:
        raise _refuse("not_this_side", "The pilot's ready contact is at the other end.")
    terminal.pilot_ready = command.on


def _check(plant: "Plant", terminal: Terminal, command: CableCheck) -> None:
    if command.on:
        _plugged(plant, terminal)
    terminal.monitor_on = command.on and terminal.kind.dc
    terminal.checking_since_ms = plant.now_ms if command.on else None
    terminal.reads_since_ms = plant.now_ms


def _emit(plant: "Plant", terminal: Terminal, command: Emit) -> None:
    _only_master(terminal)
    path = _plugged(plant, terminal)
    if path.provider.conducts or path.client.conducts or live_mv(plant, path) >= TOUCH_LIMIT_MV:
        raise _refuse("live", "A pattern goes on a dead cable only.")
    path.cable.pattern = (command.pattern, plant.now_ms)


def _precharge(plant: "Plant", terminal: Terminal, command: Precharge) -> None:
    if command.voltage_mv == 0:
        _let_go(plant, terminal)
        return
    _only_master(terminal)
    if not terminal.kind.dc or (command.port is Port.BUS and not terminal.kind.inner_bus):
        raise _refuse("not_this_side", "There is nothing to pre-charge here.")
    path = _plugged(plant, terminal)
    if terminal.permit is None:
        raise _refuse("no_permit", "Nothing energises without a permit.")
    short = Fault.PRECHARGE_SHORT in terminal.faults
    target_mv = command.voltage_mv // 4 if short else command.voltage_mv
    end_ms = plant.now_ms + path.cable.spec.precharge_ms
    if command.port is Port.BUS:
        terminal.inner = Ramp(inner_mv(plant, terminal), target_mv, plant.now_ms, end_ms)
        return
    path.cable.ramp = Ramp(live_mv(plant, path), target_mv, plant.now_ms, end_ms)
    path.cable.cut_pattern(plant.now_ms)
    path.cable.precharging = True


def _let_go(plant: "Plant", terminal: Terminal) -> None:
    path = plant.path_of(terminal)
    if path is None or not terminal.is_master or terminal.closed:
        return
    end_ms = plant.now_ms + path.cable.spec.discharge_ms
    path.cable.ramp = Ramp(path.cable.ramp.at(plant.now_ms), 0, plant.now_ms, end_ms)
    path.cable.precharging = False


def _close(plant: "Plant", terminal: Terminal, _: Close) -> None:
    path = _plugged(plant, terminal)
    if not terminal.may_energise:
        raise _refuse("no_permit", "Nothing energises without a permit.")
    _note_unsafe_closing(plant, terminal, path)
    if terminal.is_master and not terminal.kind.dc:
        path.cable.cut_pattern(plant.now_ms)
    was_closed = terminal.closed
    terminal.close()
    if terminal.closed and not was_closed:
        plant.log.write(plant.now_ms, "contactor", terminal=terminal.name, closed=True, why="command")


def _note_unsafe_closing(plant: "Plant", terminal: Terminal, path: Path) -> None:
    broken = []
    opened = path.has_just_opened(plant.now_ms)
    if not path.ready(plant.now_ms) and not opened:
        broken.append("close_unchecked")
    if not terminal.locked:
        broken.append("close_unlocked")
    if terminal.kind.dc and terminal.spec.battery is not None and not terminal.conducts and not opened:
        inner = terminal.is_master and terminal.kind.inner_bus
        beyond_mv = inner_mv(plant, terminal) if inner else live_mv(plant, path)
        if abs(beyond_mv - plant.batteries[terminal.spec.battery].voltage_mv) >= INRUSH_LIMIT_MV:
            broken.append("close_unmatched")
    for rule in broken:
        plant.log.write(plant.now_ms, "violation", terminal=terminal.name, rule=rule)


def _permit(plant: "Plant", terminal: Terminal, command: Permit) -> None:
    fitting = Direction.OUT if terminal.spec.role is Role.PROVIDER else Direction.IN
    if command.direction is not fitting:
        raise _refuse("wrong_direction", "Energy does not go this way here.")
    until_ms = plant.now_ms + command.valid_ms
    terminal.permit = HeldPermit(command.max_power_w, command.direction, until_ms)
    details = {"max_power_w": command.max_power_w, "until_ms": until_ms}
    plant.log.write(plant.now_ms, "permit", terminal=terminal.name, **details)


def _set_power(plant: "Plant", terminal: Terminal, command: SetPower) -> None:
    if command.power_w and terminal.needs_permit:
        if terminal.permit is None:
            raise _refuse("no_permit", "Nothing energises without a permit.")
        if command.power_w > terminal.permit.max_power_w:
            raise _refuse("above_permit", "More power than the permit allows.")
    terminal.pending = (plant.now_ms + terminal.spec.response_ms, command.power_w)


def _open(plant: "Plant", terminal: Terminal, _: Open) -> None:
    plant.open(terminal, "command")


DOINGS: dict[type, Callable[["Plant", Terminal, Any], None]] = {
    Lock: _lock,
    Unlock: _unlock,
    PilotReady: _pilot,
    CableCheck: _check,
    Emit: _emit,
    Precharge: _precharge,
    Close: _close,
    Permit: _permit,
    SetPower: _set_power,
    Open: _open,
}
