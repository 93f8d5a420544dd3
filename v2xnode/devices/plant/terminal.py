"""One side's device at the cable: what it is, and the state of its lock, contactor, converter, monitor and permit."""

from dataclasses import dataclass
from enum import StrEnum

from market.terms import Profile
from market.units import Role
from v2xnode.devices.interface import Direction
from v2xnode.devices.plant.kind import KINDS, Kind
from v2xnode.devices.plant.quantity import Ramp, Thermal

CONNECTOR_LAG_MS = 300_000
"""Five minutes: contacts and cable follow the current faster than a pack (assumed)."""
CONNECTOR_AMBIENT_MILLICELSIUS = 20_000
CONNECTOR_RISE_MILLICELSIUS = 45_000
"""At rated current; IEC 62196-1 allows contacts 50 K."""


class Fault(StrEnum):
    """What can be injected into a terminal, and stays until it is taken back."""

    INSULATION = "insulation"  # resistance of the cable falls to a tenth of what is needed
    WELD = "weld"  # the contactor's main contacts stay shut, its feedback says open
    STUCK_OPEN = "stuck_open"  # the contactor never closes
    LOCK_JAM = "lock_jam"  # the lock does not move
    HOT = "hot"  # a bad contact: the connector is far too hot
    EARTH = "earth"  # protective earth broken
    RCD = "rcd"  # residual current device tripped, or fails its test
    REVERSED = "reversed"  # polarity swapped
    SECOND_MONITOR = "second_monitor"  # an insulation monitor that should be silent is not
    PULLED = "pulled"  # the connector is torn out
    PILOT = "pilot"  # the control pilot shows a fault
    DEAF = "deaf"  # patterns on the cable are not read
    PRECHARGE_SHORT = "precharge_short"  # pre-charge draws far more than 2 A and reaches nothing
    OVERPOWER = "overpower"  # the converter no longer follows its set-point nor its permit's limit
    OVERVOLTAGE = "overvoltage"  # the output is half too high
    GRID_CLOSED = "grid_closed"  # the transfer switch is, or falls back, on the grid
    GRID_LIVE = "grid_live"  # the grid side of the switch is live
    UNBONDED = "unbonded"  # the neutral-earth bond is open
    DEVICE = "device"  # the device reports a fault of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalSpec:
    """A device as the world file describes it, in front of a battery or of a load.

    standby_w: drawn on our side while the path is live; loss_ppm: of the power that passes between terminal and
    battery or load. response_ms: from a new set-point to its effect.
    """

    profile: Profile
    role: Role
    battery: str | None = None
    load: str | None = None
    max_power_w: int
    max_current_ma: int
    standby_w: int = 0
    loss_ppm: int = 0
    response_ms: int = 200

    def __post_init__(self) -> None:
        if (self.battery is None) == (self.load is None):
            raise ValueError("a terminal stands in front of either a battery or a load")
        if self.role is Role.PROVIDER and self.battery is None:
            raise ValueError("a provider's terminal needs a battery")
        if min(self.max_power_w, self.max_current_ma) < 1 or min(self.standby_w, self.response_ms) < 0:
            raise ValueError("power and current must be at least 1, standby and response at least 0")
        if not 0 <= self.loss_ppm < 500_000:
            raise ValueError("loss_ppm must be below a half")


@dataclass(frozen=True, slots=True)
class HeldPermit:
    """A permit under way; it ends at `until_ms`, that millisecond excluded."""

    max_power_w: int
    direction: Direction
    until_ms: int


class Terminal:
    """Mutable state of one device. The rules are in `commands` and `plant`."""

    def __init__(self, name: str, spec: TerminalSpec) -> None:
        self.name = name
        self.spec = spec
        self.kind: Kind = KINDS[spec.profile]
        self.faults: set[Fault] = set()
        self.locked = False
        self.pilot_ready = False
        self.closed = False
        self.conducts = False
        self.permit: HeldPermit | None = None
        self.setpoint_w: int | None = None if not self.kind.dc else 0
        self.pending: tuple[int, int] | None = None
        self.monitor_on = False
        self.checking_since_ms: int | None = None
        self.ready_until_ms: int | None = None
        """When a master whose check was good opened last."""
        self.reads_since_ms = 0
        self.inner = Ramp(0, 0, 0, 0)
        self.tripped = ""
        self.flow_mw = 0
        self.heat = Thermal(CONNECTOR_AMBIENT_MILLICELSIUS, CONNECTOR_RISE_MILLICELSIUS, CONNECTOR_LAG_MS)

    @property
    def is_master(self) -> bool:
        return self.spec.role is self.kind.master

    @property
    def needs_permit(self) -> bool:
        return self.spec.role in self.kind.needs_permit

    @property
    def may_energise(self) -> bool:
        return not self.needs_permit or self.permit is not None

    @property
    def allowed_w(self) -> int:
        """The most that rating, permit and set-point allow; 0 without a permit where one is needed."""
        if Fault.OVERPOWER in self.faults:
            return self.spec.max_power_w
        limits = [self.spec.max_power_w]
        if self.needs_permit:
            limits.append(self.permit.max_power_w if self.permit else 0)
        if self.setpoint_w is not None:
            limits.append(self.setpoint_w)
        return min(limits)

    @property
    def feeds_cable(self) -> bool:
        """Our battery lies directly on the cable: DC, contacts shut, no converter between."""
        direct = self.kind.dc and self.spec.battery is not None and not (self.is_master and self.kind.inner_bus)
        return direct and self.conducts

    def close(self) -> None:
        if Fault.STUCK_OPEN not in self.faults:
            self.closed = self.conducts = True

    def open(self) -> None:
        """Everything off, as `interface.Open` promises; a welded contact stays shut behind an open feedback."""
        self.conducts = self.conducts and Fault.WELD in self.faults
        self.closed = False
        self.permit = None
        self.pending = None
        self.setpoint_w = None if not self.kind.dc else 0
        self.pilot_ready = False
        self.checking_since_ms = None
