"""What the machines of a trade have in common: how they are driven, and the steps that each of them knows.

A machine does no I/O and knows no clock. Events go in with the monotonic `now_ms`, effects come out, to be done in
their order; `deadline_ms` says when a `Tick` is due. The legal steps are one table in each machine's file, from state
and event (for a message: its type) to a handler. What the table does not have is refused and changes nothing: a
peer's message with the effect `Refused`, a step of the caller's own with StepRefused.

Entries are appended durably before anybody hears of them. So `Append` and `Sign` are answered with `Recorded`, which
tells the machine its own hash, or with `LedgerFailed`, and then the effects that stood behind it are left undone.
Their `at_ms` is 0: `stamped` puts the wall clock in at the commit. The stored bytes are repeated until the peer
acknowledges them; the machine does not ask twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, ClassVar, Generic, TypeVar, cast

from market.errors import Reason, StepRefused
from market.terms import Control, Counter, Decline, EntryBody, Message, Offer
from market.units import MS_PER_SECOND

M = TypeVar("M", bound=Message, covariant=True)
S = TypeVar("S", bound=Enum)
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message of the peer: it is the link's peer that signed or sealed it, it belongs to this session, and an entry
    is already held durably. `digest` is its hash and `answers` the hash that it answers; both empty where sealed."""

    message: M
    digest: bytes = b""
    answers: bytes = b""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry or signed message of our own is durable; `digest` is its hash."""

    message: Message
    digest: bytes


@dataclass(frozen=True, slots=True)
class LedgerFailed:
    """The newest entry asked for could not be appended, and was sent to nobody."""


@dataclass(frozen=True, slots=True)
class LinkLost:
    """No link to the peer is left."""


@dataclass(frozen=True, slots=True)
class LinkResumed:
    """The session goes on over another link."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; never out of step."""


@dataclass(frozen=True, slots=True)
class Append:
    """Append this entry durably, answering `answers`; then send it, and repeat the stored bytes until acknowledged."""

    message: EntryBody
    answers: bytes


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign this message, keep it, send it, and repeat the stored bytes until answered."""

    message: Offer | Counter


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this sealed message; the bearer repeats it while the link lasts, nobody stores it."""

    message: Control | Decline


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send the stored reply to the peer's entry or message with this hash once more."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A message of the peer did not fit; nothing has changed."""

    message: Message
    reason: Reason = Reason.OUT_OF_STEP


Common = Append | Sign | Tell | Repeat | Refused


def stamped(message: EntryBody, at_ms: int) -> EntryBody:
    """An entry's message with the wall clock of its commit; the same where the message has no such field."""
    if any(each.name == "at_s" for each in fields(message)):
        return cast(EntryBody, replace(cast(Any, message), at_s=at_ms // MS_PER_SECOND))
    return message


def kind_of(event: object) -> type:
    """What a table is asked for: a message's type, else the event's."""
    return type(event.message) if isinstance(event, Received) else type(event)


Step = Callable[[Any, Any], Sequence[Any]]
Table = Mapping[tuple[Enum, type], Step]


class Machine(Generic[S, E]):
    """A state, its timers, and the table that moves it.

    Each machine's file holds `STEPS` (state and event), `ALWAYS` (events that are legal in every state), `TIMEOUTS`
    (what a timer that ran out does) and `RUNS_IN` (the states in which each timer may run: any other stops it).
    """

    STEPS: ClassVar[Table]
    ALWAYS: ClassVar[Mapping[type, Step]]
    TIMEOUTS: ClassVar[Mapping[Enum, Callable[[Any], Sequence[Any]]]]
    RUNS_IN: ClassVar[Mapping[Enum, frozenset[Any]]]

    def __init__(self, state: S, now_ms: int) -> None:
        self._state = state
        self._now = now_ms
        self._timers: dict[Enum, int] = {}

    @property
    def state(self) -> S:
        """Where the machine stands."""
        return self._state

    def deadline_ms(self) -> int | None:
        """When a Tick is due, monotonic; None: not before another event."""
        return min(self._timers.values(), default=None)

    def handle(self, event: object, now_ms: int) -> tuple[E, ...]:
        """One step. Raises StepRefused for a step of the caller's own that the table does not have."""
        if isinstance(event, Tick):
            self._now = now_ms
            return tuple(self._run_out())
        step = self.STEPS.get((self._state, kind_of(event))) or self.ALWAYS.get(kind_of(event))
        if step is None:
            return self._refuse(event)
        self._now = now_ms
        return tuple(step(self, event))

    def _refuse(self, event: object) -> tuple[E, ...]:
        if isinstance(event, Received):
            return (cast(E, Refused(event.message)),)
        raise StepRefused(f"{type(event).__name__} is no step of {type(self).__name__} in {self._state.name}")

    def _run_out(self) -> list[E]:
        effects: list[E] = []
        for timer in sorted(self._timers, key=lambda each: (self._timers[each], each.value)):
            if self._timers.get(timer, self._now + 1) <= self._now:  # one that ran out before may have stopped it
                del self._timers[timer]
                effects += self.TIMEOUTS[timer](self)
        return effects

    def _enter(self, state: S) -> None:
        self._state = state
        for timer in [each for each in self._timers if state not in self.RUNS_IN[each]]:
            del self._timers[timer]

    def _wake(self, timer: Enum, at_ms: int) -> None:
        """Set a timer, if it may run in this state."""
        if self._state in self.RUNS_IN[timer]:
            self._timers[timer] = at_ms


def nothing(_machine: Any, _event: Any) -> tuple[()]:
    """The handler of a step that is legal and without effect: repeated, crossed, or late."""
    return ()


def rows(states: Sequence[Enum], steps: Mapping[type, Step]) -> dict[tuple[Enum, type], Step]:
    """The same steps for several states, to write a table briefly."""
    return {(state, event): step for state in states for event, step in steps.items()}
