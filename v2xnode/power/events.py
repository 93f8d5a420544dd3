"""What goes into the interlock and what comes out of it."""

from dataclasses import dataclass
from enum import StrEnum

from market.terms import PlugStep, Profile
from market.units import Role
from v2xnode.devices.interface import MAX_PERMIT_MS, Direction, PathCommand, PathSense

PERMIT_MS = 3_000
"""Default life of a permit (design: a node that dies leaves power off within it)."""

WELD_LIMIT_MV = 60_000
"""Below this a DC connector may be unlocked (deliverable 3.1, t16)."""

CHADEMO_WELD_LIMIT_MV = 10_000
"""What CHAdeMO asks for instead (deliverable 3.1, section 1.2, step 7)."""


@dataclass(frozen=True, slots=True)
class PathLimits:
    """What one side can stand: its cable voltage range, its current and power at the connector."""

    min_voltage_mv: int
    max_voltage_mv: int
    max_current_ma: int
    max_power_w: int

    def __post_init__(self) -> None:
        if not 0 < self.min_voltage_mv <= self.max_voltage_mv:
            raise ValueError("0 < min_voltage_mv <= max_voltage_mv must hold")
        if self.max_current_ma < 1 or self.max_power_w < 1:
            raise ValueError("current and power must be at least 1")


# Events


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The session is agreed and Start was sent or received. pattern: random, from the caller, for the master; None
    for the follower. weld_limit_mv: `CHADEMO_WELD_LIMIT_MV` on a CHAdeMO connector."""

    profile: Profile
    role: Role
    own: PathLimits
    peer: PathLimits
    pattern: int | None = None
    permit_ms: int = PERMIT_MS
    weld_limit_mv: int = WELD_LIMIT_MV

    def __post_init__(self) -> None:
        if not 300 <= self.permit_ms <= MAX_PERMIT_MS:
            raise ValueError(f"permit_ms must be 300 to {MAX_PERMIT_MS}")
        if not 0 < self.weld_limit_mv <= WELD_LIMIT_MV:
            raise ValueError(f"weld_limit_mv must be 1 to {WELD_LIMIT_MV}")


@dataclass(frozen=True, slots=True)
class Recover:
    """The node went down in this session, or may have: whatever the devices are at, off, check for welds, unlock."""

    setting: Begin


@dataclass(frozen=True, slots=True)
class Sensed:
    """What `Charger.sense` just returned."""

    sense: PathSense


@dataclass(frozen=True, slots=True)
class PlugReport:
    """The content of a sealed Plug message. Each tells everything, so that only the newest matters.

    round: 1, and one more after each Resume. voltage_mv: of the teller's battery, 0 before VERIFIED or without one.
    """

    round: int
    step: PlugStep
    pattern: int
    voltage_mv: int


@dataclass(frozen=True, slots=True)
class PeerPlug:
    """The peer's Plug message arrived."""

    report: PlugReport


@dataclass(frozen=True, slots=True)
class PowerAllowed:
    """Receipt 0 was exchanged: the power path may be energised. Told again, it only tightens."""

    max_power_w: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class SetPower:
    """What this node wants from now on; more than the limits is cut to them. Before the first one, all that is
    allowed is wanted."""

    power_w: int


@dataclass(frozen=True, slots=True)
class Limit:
    """A peer's or device's derating: only ever tightens, for the rest of the session."""

    max_power_w: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Power off in order, stay locked."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause: everything from the cable check on is repeated, with a fresh pattern at the master."""

    pattern: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """End in order and unlock. Latches: nothing energises in this session any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The charger refused a command (`DeviceRefused.code`)."""

    code: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but time went by."""


Event = (
    Begin
    | Recover
    | Sensed
    | PeerPlug
    | PowerAllowed
    | SetPower
    | Limit
    | Pause
    | Resume
    | Stop
    | CommandRefused
    | Tick
)

# Outputs


class Phase(StrEnum):
    """Where the machine is: on the way up, delivering, on the way down, or at rest."""

    IDLE = "idle"
    RISING = "rising"
    DELIVERING = "delivering"
    FALLING = "falling"
    PAUSED = "paused"
    ENDED = "ended"
    HELD = "held"


class Milestone(StrEnum):
    """Points that the node waits for or tells people about."""

    LOCKED = "locked"
    CABLE_CHECKED = "cable_checked"
    PLUG_VERIFIED = "plug_verified"
    READY_FOR_POWER = "ready_for_power"
    ENERGISED = "energised"
    POWERED_OFF = "powered_off"
    PAUSED = "paused"
    UNLOCKED = "unlocked"
    HELD_LOCKED = "held_locked"


@dataclass(frozen=True, slots=True)
class Command:
    """For the charger; commands of one answer go in one request, in order."""

    command: PathCommand


@dataclass(frozen=True, slots=True)
class TellPlug:
    """Send this to the peer in a sealed Plug message. It is repeated until the path is energised."""

    report: PlugReport


@dataclass(frozen=True, slots=True)
class Reached:
    """A point was reached."""

    milestone: Milestone


@dataclass(frozen=True, slots=True)
class Ending:
    """Power goes off in order, for a reason that is no fault: the caller's own words, or `peer_ended`,
    `supply_ended`, `pause_expired`. After the two of the other side's doing the machine waits paused."""

    reason: str


@dataclass(frozen=True, slots=True)
class Derated:
    """Our device can do less than is wanted: tell the peer in a Limit message. reason as in `PathSense`."""

    max_power_w: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something is wrong. The path was opened at once (a converter goes to 0 A first) and the session can only end."""

    code: str
    sentence: str


Output = Command | TellPlug | Reached | Ending | Derated | Fault
