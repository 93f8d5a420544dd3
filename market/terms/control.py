"""What travels sealed in the link and is signed by nobody: greeting, plug check, start and stop, status.

`seq` is the session's control sequence of its sender: it rises across links, and a lower one is ignored, so that a
delayed Start can't undo a Stop. A peer's values only tighten.
"""

from dataclasses import dataclass
from enum import IntEnum

from market.errors import Reason
from market.terms.agreement import POWER, REQUEST_ID
from market.terms.delivery import REGISTER
from market.terms.electrical import Electrical
from market.terms.mapping import (
    Boolean,
    Bytes,
    Choice,
    Integer,
    Kind,
    ListOf,
    Text,
    at,
    check,
    from_map,
    to_map,
)
from market.units import ServiceBits

SEQ = Integer(1, 2**32 - 1)
NONCE = Bytes(8)
EPOCH = Bytes(8)
EPOCH_HINT_BYTES = 4
PROTOCOL_VERSION = 1


class ElectricalMap:
    """An electrical record inside Hello, as a map of its own: most of its fields have defaults."""

    def pack(self, value: Electrical) -> dict[int, object]:
        if type(value) is not Electrical:
            raise ValueError("must be an Electrical")
        return to_map(value)

    def unpack(self, raw: object) -> Electrical:
        return from_map(Electrical, raw)


_ELECTRICAL: Kind = ElectricalMap()


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of the receiver's chain that the sender holds. epoch: how it begins, which its owner knows."""

    epoch: bytes = at(0, Bytes(EPOCH_HINT_BYTES))
    seq: int = at(1, Integer(0, 2**62))

    def __post_init__(self) -> None:
        check(self)


class _HeadList:
    def pack(self, value: tuple[Head, ...]) -> list[object]:
        if type(value) is not tuple or len(value) > 1 or any(type(head) is not Head for head in value):
            raise ValueError("must be one Head, or none")
        return [part for head in value for part in (head.epoch, head.seq)]

    def unpack(self, raw: object) -> tuple[Head, ...]:
        if not isinstance(raw, list) or len(raw) not in (0, 2):
            raise ValueError("must be an epoch and a sequence number, or nothing")
        return (Head(*raw),) if raw else ()


_HEAD: Kind = _HeadList()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Both sides' greeting inside the handshake: versions, services, electrical record, currency, the epoch of the
    sender's chain, and the newest entry of the *receiver's* chain that the sender holds.

    node: the sender's genesis key, where another key opens the link since that one was rotated.
    """

    versions: tuple[int, ...] = at(0, ListOf(Integer(1, 255), 1, 8), (PROTOCOL_VERSION,))
    services: ServiceBits = at(1, Choice(ServiceBits), ServiceBits(0))
    electrical: Electrical = at(2, _ELECTRICAL)
    currency: str = at(3, Text(3, 3), "EUR")
    epoch: bytes = at(4, EPOCH)
    holds: tuple[Head, ...] = at(5, _HEAD, ())
    node: bytes = at(6, Bytes(32), b"")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Ready:
    """Client: plugged and ready to start."""

    seq: int = at(0, SEQ)
    nonce: bytes = at(1, NONCE)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Start:
    """Provider: echoes Ready's nonce, at most 10 s old, and begins the interlock. Power waits for Receipt 0."""

    seq: int = at(0, SEQ)
    nonce: bytes = at(1, NONCE)

    def __post_init__(self) -> None:
        check(self)


class PlugStep(IntEnum):
    """How far the sender's side of the power path is."""

    PATTERN = 1
    """The pattern is emitted (master) or read (the other side)."""
    VERIFIED = 2
    """Both patterns were compared and are the same: this cable joins these two peers."""
    PRECHARGED = 3
    """The cable has the battery's voltage."""
    CLOSED = 4
    """The contactor is closed: the master may deliver."""


@dataclass(frozen=True, slots=True)
class Plug:
    """What the sender put on the cable or read from it, and how far it is. Each one tells everything, so that only
    the newest counts. round: 1, and one more after each pause; voltage_mv: of the sender's battery, 0 for none."""

    seq: int = at(0, SEQ)
    round: int = at(1, Integer(1, 65_535))
    step: PlugStep = at(2, Choice(PlugStep))
    pattern: int = at(3, Integer(0, 65_535))
    voltage_mv: int = at(4, Integer(0, 2_000_000), 0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def ready(self) -> bool:
        """Whether the plug is verified on the sender's side, so that the registers can be opened."""
        return self.step >= PlugStep.VERIFIED


@dataclass(frozen=True, slots=True)
class Pause:
    """Either side: power to 0 (paused) or on again; energising again repeats the cable check."""

    seq: int = at(0, SEQ)
    paused: bool = at(1, Boolean())

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class PowerLimit:
    """Either side: no more than this power from now on, and why (0: owner, else a Reason)."""

    seq: int = at(0, SEQ)
    power_max_w: int = at(1, POWER)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Stop:
    """Either side: power off now and for good; only Close follows. Latches durably at its receiver."""

    seq: int = at(0, SEQ)
    reason: Reason = at(1, Choice(Reason))

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Client: push the session's states to this link from now on."""

    status: bool = at(0, Boolean(), True)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class ResolvingKey:
    """The key that resolves the sender's rotating identifiers; given once trade or pairing made the peer known."""

    key: bytes = at(0, Bytes(16))

    def __post_init__(self) -> None:
        check(self)


class PowerState(IntEnum):
    """Where the sender's power path is, for people and for the silence watch; it never moves money or raises power."""

    OFF = 0
    PREPARING = 1
    READY = 2
    DELIVERING = 3
    PAUSED = 4
    STOPPING = 5
    FAULT = 6


@dataclass(frozen=True, slots=True)
class Status:
    """Provider's push, each period: running number, cumulative Wh since opening, power, state of its path."""

    number: int = at(0, Integer(0, 2**32 - 1))
    delivered_wh: int = at(1, REGISTER)
    power_w: int = at(2, POWER)
    state: PowerState = at(3, Choice(PowerState))
    soc_permille: int = at(4, Integer(-1, 1000), -1)
    """-1: not told."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Alive:
    """Client's answer, each period: the newest Status number seen, and its own cumulative Wh since opening."""

    status_number: int = at(0, Integer(0, 2**32 - 1))
    received_wh: int = at(1, REGISTER)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Resume:
    """Client, on a new link: go on with this session."""

    session_id: bytes = at(0, REQUEST_ID)

    def __post_init__(self) -> None:
        check(self)
