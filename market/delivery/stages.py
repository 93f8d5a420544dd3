"""Where a delivery can stand, what it waits for, and how long. The same words on both sides."""

from enum import Enum, auto

from market.errors import Reason

PATH_OFF_MS = 30_000
"""How long PathEnded is awaited: three times the longest permit, after which the device has opened by itself."""
CLOSE_WAIT_MS = 30_000
"""How long a Close waits for its answer before the delivery counts as finished without one; it is repeated on."""
MIN_STOP_REPEAT_MS = 1_000
"""A Stop that got lost is told again each status period, but not oftener than a second."""
SILENT_PERIODS = 3
"""Periods without a sign of the other side after which it counts as silent (protocol: Exposure and silence)."""


class Stage(Enum):
    """Where a delivery stands, the same words on both sides."""

    AGREED = auto()
    """Provider: Ready is awaited. Client: the plug."""
    STARTING = auto()
    """Client: Ready is said, Start awaited."""
    PREPARING = auto()
    """The interlock walks its steps."""
    OPENING = auto()
    """Our path is prepared; Interval 0 and its Receipt are due. Up to here a Void ends it at no cost."""
    DELIVERING = auto()
    PAUSED = auto()
    RESUMING = auto()
    """The pause is over; the interlock walks its steps again."""
    STOPPING = auto()
    """Power is cut; PathEnded is awaited."""
    READING = auto()
    """Provider: the path is off, the last register is awaited."""
    SETTLING = auto()
    """The path is off. Provider: the last Receipts are awaited. Client: the provider's Close."""
    CLOSING = auto()
    """Our Close is appended, its answer awaited."""
    UNANSWERED = auto()
    """Finished without an answer, which may still come."""
    VOIDING = auto()
    """Void; PathEnded is awaited."""
    FINISHED = auto()


class Timer(Enum):
    START_BY = 1
    START = 2
    PAUSE = 3
    EXPOSURE = 4
    SILENCE = 5
    GONE = 6
    STATUS = 7
    PATH = 8
    STOP = 9
    READING = 10
    GRACE = 11
    WAIT = 12
    CLOSE = 13


BEFORE_POWER = (Stage.AGREED, Stage.STARTING, Stage.PREPARING, Stage.OPENING)
POWERED = (Stage.DELIVERING, Stage.PAUSED, Stage.RESUMING)
STOPPED = (Stage.STOPPING, Stage.READING, Stage.SETTLING)
WRITTEN = (Stage.CLOSING, Stage.UNANSWERED)
PATH_OPEN = (Stage.PREPARING, Stage.OPENING, *POWERED)
METERED = (Stage.OPENING, *POWERED, *STOPPED, *WRITTEN)
WATCHED = (*PATH_OPEN, *STOPPED)


def said_by_peer(reason: Reason) -> Reason:
    """The peer's owner is not ours."""
    return Reason.STOPPED_BY_PEER if reason is Reason.STOPPED_BY_OWNER else reason
