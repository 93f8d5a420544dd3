"""The steps of a delivery beyond the common ones of `market.machine`, and its control counters."""

from dataclasses import dataclass
from enum import Enum, auto

from market.errors import Reason
from market.machine import Append, Refused, Repeat, Tell
from market.terms import Plug, PlugStep, Ready, Status

# Events of both sides


@dataclass(frozen=True, slots=True)
class Reading:
    """Our own meter: UTC time, the cumulative register of the energy that this delivery moves, power now (0 or more).

    The first one after PathEnded was taken with the power off.
    """

    at_ms: int
    register_wh: int
    power_w: int


@dataclass(frozen=True, slots=True)
class PathPrepared:
    """The interlock has verified our side of the path and the plug: power may flow on AllowPower."""


@dataclass(frozen=True, slots=True)
class PathEnded:
    """Our side of the path is off and open: asked for (None), or by itself and why."""

    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class OwnPlug:
    """What the interlock has to say about the plug, in the words of the Plug message; the machine numbers it."""

    round: int
    step: PlugStep
    pattern: int
    voltage_mv: int = 0


@dataclass(frozen=True, slots=True)
class OwnerStop:
    """Our own side stops for good: the owner, a limit of the owner's, a full battery, the node's end."""

    reason: Reason = Reason.STOPPED_BY_OWNER


@dataclass(frozen=True, slots=True)
class OwnerPause:
    """Our own side pauses, or is ready to go on."""

    paused: bool


@dataclass(frozen=True, slots=True)
class OwnerLimit:
    """Our own side allows no more than this from now on; it may be raised again, up to the agreement."""

    power_max_w: int


class Written(Enum):
    """What our own entries say of a session's end."""

    NOTHING = auto()
    CLOSE = auto()
    """Our Close, which waits for its answer."""
    END = auto()
    """A Void of either side, or a settlement with its answer: nothing is left but to make sure that the peer has it."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The node went down during this delivery and is back. No power flows any more in it; what is left is to settle.

    reason: why it ends. written: how far that went in writing, see `standing`.
    """

    reason: Reason = Reason.SHUTDOWN
    written: Written = Written.NOTHING


# The client's events


@dataclass(frozen=True, slots=True)
class Plugged:
    """The cable is in: say Ready, unless this one went with the Accept already."""

    said: Ready | None = None


# Effects of both sides


@dataclass(frozen=True, slots=True)
class BeginPath:
    """Let the interlock walk its steps up to PathPrepared. No power yet."""


@dataclass(frozen=True, slots=True)
class AllowPower:
    """From now on our side may carry this much and no more. Replaces what was allowed before."""

    power_w: int


@dataclass(frozen=True, slots=True)
class SuspendPath:
    """Power to 0 and open for a pause; PathEnded when done. BeginPath may follow."""


@dataclass(frozen=True, slots=True)
class CutPower:
    """Power off for good, first of all; then make durable that this session is stopped. PathEnded when done."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class PlugHeard:
    """The peer's newest word about the plug, for the interlock."""

    plug: Plug


@dataclass(frozen=True, slots=True)
class Finished:
    """The delivery is over: whatever it has locked is free, and this is what it comes to.

    receipts: how many count, the opening one included (0: no energy was to flow). answered: the peer has agreed to
    these totals in writing; else a late answer may still bring another Finished, which replaces this one.
    """

    reason: Reason
    agreed_wh: int
    amounts_micro: tuple[int, ...]
    receipts: int
    answered: bool


# The provider's effects


@dataclass(frozen=True, slots=True)
class PushStatus:
    """Push this state to the client, unrepeated: a newer one follows."""

    status: Status


# The client's effects


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """Three periods without Status: subscribe again on the link at hand."""


@dataclass(frozen=True, slots=True)
class Redial:
    """Dial the provider anew, every bearer it was seen on, best first; LinkResumed when done."""


DeliveryEffect = (
    Append
    | Tell
    | Repeat
    | Refused
    | BeginPath
    | AllowPower
    | SuspendPath
    | CutPower
    | PlugHeard
    | Finished
    | PushStatus
    | Resubscribe
    | Redial
)


@dataclass(frozen=True, slots=True)
class ControlCounters:
    """The session's control sequence, across links: the newest number sent, and heard."""

    sent: int = 0
    heard: int = 0
