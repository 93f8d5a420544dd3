"""The seam between the node and its hardware: a charger (our side of the power path), a meter, a battery.

Every driver keeps three promises. Vendor types and vendor exceptions stop inside it (`devices.errors` come out). Signs
are ours: power and current are positive when energy leaves our side towards the peer. And nothing energises without a
permit, which the device lets run out by itself: a node that hangs or dies leaves power off within the permit's life.
`tests/contract/device_contract.py` is the suite that every implementation passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

MAX_PERMIT_MS = 10_000
"""Longest life of a permit: what a dead node may leave energised. The default of the interlock is 3 s."""

PATTERN_BITS = 16
"""A pattern is four levels of four bits: two pairs plugged at once read the same one once in 65,536 times."""

MAX_COMMANDS = 16
"""Commands in one request: twice the longest list that a step of the interlock sends."""


class Direction(StrEnum):
    """Which way a permit lets energy go, seen from our side."""

    OUT = "out"
    IN = "in"


class Pilot(StrEnum):
    """Control pilot states of IEC 61851-1 (D is reported as C): what the two ends tell each other by wire."""

    UNPLUGGED = "A"
    PLUGGED = "B"
    READY = "C"
    FAULT = "F"


class Insulation(StrEnum):
    """What the power path's master reports of its insulation test, throughout (deliverable 3.1, t2-t4)."""

    UNTESTED = "untested"
    TESTING = "testing"
    VALID = "valid"
    FAULT = "fault"


class Port(StrEnum):
    """Where to pre-charge: the cable, or our own side of a converter that stands between battery and cable."""

    CABLE = "cable"
    BUS = "bus"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSense:
    """One look at our side of the power path, all values of the same moment.

    at_ms: device's clock; a look at the same moment as the one before is no fresh one. plugged: proximity closed.
    pilot: as seen here. earth_ok: protective earth continuous.
    ready: the master's status Ready (t4) until it reports Not Ready (t13), as seen on either end. monitor_on: *our*
    insulation monitor acts on the cable. insulation, insulation_ohm: the master's, as seen on either end.
    output_voltage_mv: on the cable at our connector, negative when the polarity is reversed; RMS where AC.
    bus_voltage_mv: across our open contactor from our battery; battery_voltage_mv: None without a battery.
    current_ma, power_w: positive when energy leaves our side. contactor_closed: feedback of our contactor.
    max_power_w with limit_reason ("" | "taper" | "thermal" | "empty" | "full"): what the device can do just now.
    permit_left_ms: 0 without one. pattern_read: the last whole pattern on the cable since our last CableCheck.
    rcd_ok: residual current device tested and not tripped, None where it is not ours. grid_open, grid_dead,
    neutral_bonded: live feedback of an island, None where none is made. faults: the device's own, in its own words.
    """

    at_ms: int
    plugged: bool
    locked: bool
    pilot: Pilot
    earth_ok: bool
    ready: bool
    monitor_on: bool
    insulation: Insulation
    insulation_ohm: int
    output_voltage_mv: int
    bus_voltage_mv: int
    battery_voltage_mv: int | None
    current_ma: int
    power_w: int
    contactor_closed: bool
    connector_millicelsius: int
    max_power_w: int
    limit_reason: str
    permit_left_ms: int
    pattern_read: int | None
    rcd_ok: bool | None = None
    grid_open: bool | None = None
    grid_dead: bool | None = None
    neutral_bonded: bool | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock our connector. Refused: not_plugged."""


@dataclass(frozen=True, slots=True)
class Unlock:
    """Unlock our connector. Refused: live (60 V or more on it)."""


@dataclass(frozen=True, slots=True)
class PilotReady:
    """The follower's end of the pilot: state C (on) or B. Refused at the master: not_this_side."""

    on: bool


@dataclass(frozen=True, slots=True)
class CableCheck:
    """on: test the insulation (AC: the residual current device) with our monitor, then keep watching.
    off: our monitor leaves the cable alone. Either forgets the pattern last read. Off is never refused."""

    on: bool


@dataclass(frozen=True, slots=True)
class Emit:
    """Put a pattern of `PATTERN_BITS` bits on the cable: DC as four limited voltage steps, always below 60 V; AC on the
    control pilot. Only the master, with every contactor open. Refused: not_this_side, not_plugged, live."""

    pattern: int

    def __post_init__(self) -> None:
        _within("pattern", self.pattern, 0, (1 << PATTERN_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Precharge:
    """Bring cable or bus to `voltage_mv` with 2 A at most (t5). Only the master of a DC path. Refused: no_permit,
    not_this_side. 0 lets go and is never refused."""

    voltage_mv: int
    port: Port = Port.CABLE

    def __post_init__(self) -> None:
        _within("voltage_mv", self.voltage_mv, 0, 1_500_000)


@dataclass(frozen=True, slots=True)
class Close:
    """Close our contactor. Refused: no_permit, not_plugged."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Power may flow for `valid_ms` from now, at most `max_power_w`, one way. A new permit replaces the one before.
    When it runs out the device opens by itself at that very millisecond."""

    max_power_w: int
    direction: Direction
    valid_ms: int

    def __post_init__(self) -> None:
        _within("max_power_w", self.max_power_w, 0, 10_000_000)
        _within("valid_ms", self.valid_ms, 1, MAX_PERMIT_MS)


@dataclass(frozen=True, slots=True)
class SetPower:
    """Ask for `power_w` in the permit's direction (AC: the most that may be drawn). Refused: no_permit, above_permit.
    0 is never refused."""

    power_w: int

    def __post_init__(self) -> None:
        _within("power_w", self.power_w, 0, 10_000_000)


@dataclass(frozen=True, slots=True)
class Open:
    """Power off now: converter to 0 A, contactor open, output discharged, status Not Ready, pilot B, permit void.
    Never refused, and safe to repeat."""


PathCommand = Lock | Unlock | PilotReady | CableCheck | Emit | Precharge | Close | Permit | SetPower | Open


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a meter. at_ms: the meter's own clock. Registers are cumulative, rise only, and start where the
    meter stands. power_w: positive when energy leaves our side. class_ppm: the error that its maker declares."""

    at_ms: int
    import_wh: int
    export_wh: int
    power_w: int
    class_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryState:
    """What the battery manager says. usable_energy_wh: can be taken now, down to the maker's floor. room_wh: can be
    put in. max_charge_w, max_discharge_w: just now, with taper and derating. source: who says it (`bms`, `person`)."""

    soc_permille: int
    soc_at_ms: int
    source: str
    capacity_wh: int
    usable_energy_wh: int
    room_wh: int
    max_charge_w: int
    max_discharge_w: int
    voltage_mv: int
    millicelsius: int


@runtime_checkable
class Charger(Protocol):
    """This node's side of the power path. Every call raises DeviceUnreachable when the device does not answer."""

    async def sense(self) -> PathSense:
        """Look at the path now."""
        ...

    async def command(self, commands: Sequence[PathCommand]) -> None:
        """Do these in order, at most `MAX_COMMANDS`. Raises DeviceRefused at the first that is refused: those before
        it are done, it and those behind it are not."""
        ...


@runtime_checkable
class Meter(Protocol):
    """A meter at our side of the delivery point."""

    async def read(self) -> Reading:
        """Read all registers at one moment."""
        ...


@runtime_checkable
class Battery(Protocol):
    """The battery behind our side."""

    async def state(self) -> BatteryState:
        """Ask the battery manager now."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceSet:
    """The devices of one power path of one node. battery: None for a load or a home without one."""

    charger: Charger
    meter: Meter
    battery: Battery | None


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low} to {high}, not {value}")
