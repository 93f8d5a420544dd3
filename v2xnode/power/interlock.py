"""The interlock of one node and one session: pure, led by the tables of `steps` and `guards`.

Events and `now_ms` (world time) go in, outputs come out, `deadline_ms` says when to call again with a `Tick`. A driver
is one loop, some five times a second:

    outputs = machine.handle(Sensed(await charger.sense()), now_ms())
    await charger.command([output.command for output in outputs if isinstance(output, Command)])

with DeviceRefused told back as CommandRefused. Nothing is commanded that energises before every row above it in the
profile's table held; whatever goes missing, power ends, by order or because the permit is not renewed any more.
"""

from collections.abc import Callable
from typing import Any

from market.terms import PlugStep
from v2xnode.devices.interface import SetPower as SetDevicePower
from v2xnode.power.errors import NotNow, WrongDirection
from v2xnode.power.events import (
    Begin,
    Command,
    CommandRefused,
    Derated,
    Ending,
    Event,
    Fault,
    Limit,
    Milestone,
    Output,
    Pause,
    PeerPlug,
    Phase,
    PlugReport,
    PowerAllowed,
    Reached,
    Recover,
    Resume,
    Sensed,
    SetPower,
    Stop,
    Tick,
)
from v2xnode.power.faults import SENTENCES
from v2xnode.power.guards import first_broken
from v2xnode.power.picture import Picture, tighter
from v2xnode.power.profiles import direction_of
from v2xnode.power.steps import FALLING, OFF, PATTERN_IN, RAMP, RISING, WELD_CHECK, Row, Step
from v2xnode.power.telling import Telling

PAUSE_LIMIT_MS = 900_000
"""A quarter of an hour; a longer pause is a new session."""

DERATED_STEP_PERMILLE = 50
"""A device's limit is told again when it fell by this much more: taper must not flood a slow link."""


class Interlock:
    """One session's machine. `HELD` is the end in which the connector stays locked because it may be live."""

    def __init__(self) -> None:
        self._phase = Phase.IDLE
        self._see: Picture = UNSET
        self._rows: tuple[Row, ...] = ()
        self._index = 0
        self._since_ms = 0
        self._looked = False
        self._latched = False
        self._permit_at_ms: int | None = None
        self._telling = Telling()
        self._derated_w: int | None = None
        self._out: list[Output] = []

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def step(self) -> Step:
        """The step under way; DELIVERY also before Begin and after the end, where none is."""
        return self._rows[self._index].step if self._index < len(self._rows) else Step.DELIVERY

    def handle(self, event: Event, now_ms: int) -> tuple[Output, ...]:
        """Take one event. now_ms: world time; an earlier one than before counts as the one before.

        Raises NotNow, WrongDirection or PatternMissing, and then nothing has changed.
        """
        doing = LEGAL.get((self._phase, type(event)))
        if doing is None:
            raise NotNow(f"{type(event).__name__} is not for the phase {self._phase.value}")
        self._out = []
        if self._see is not UNSET:
            self._see.now_ms = max(now_ms, self._see.now_ms)
        doing(self, event, now_ms)
        if self._phase not in RESTING:
            self._go_on()
        return tuple(self._out)

    def deadline_ms(self) -> int | None:
        """When to call with a `Tick` at the latest, None when only an event changes anything."""
        if self._phase in RESTING:
            return None
        due = []
        if self._phase is Phase.PAUSED:
            due.append(self._since_ms + PAUSE_LIMIT_MS)
        if self._index < len(self._rows):
            due.append(self._since_ms + self._rows[self._index].limit_ms)
        if self._permit_at_ms is not None:
            due.append(self._permit_at_ms + self._see.third_ms)
        if self._needs_looks:
            due.append(self._see.looked_at_ms + self._see.setting.permit_ms + 1)
        if self._retelling and self._telling.due_ms is not None:
            due.append(self._telling.due_ms)
        return min(due, default=None)

    # Events

    def _begin(self, event: Begin, now_ms: int) -> None:
        see = Picture(event, now_ms=now_ms)
        see.take_pattern(event.pattern)
        self._see = see
        self._phase = Phase.RISING
        self._enter(RISING[event.profile][see.is_master], 0)

    def _recover(self, event: Recover, now_ms: int) -> None:
        self._see = Picture(event.setting, now_ms=now_ms)
        self._stop(Stop("restarted"), now_ms)

    def _resume(self, event: Resume, _: int) -> None:
        self._see.take_pattern(event.pattern)
        self._see.round += 1
        self._telling = Telling()
        self._phase = Phase.RISING
        rows = RISING[self._see.setting.profile][self._see.is_master]
        self._enter(rows, next(i for i, row in enumerate(rows) if row.step is Step.LOCK))

    def _sensed(self, event: Sensed, _: int) -> None:
        self._looked = self._see.take_look(event.sense) or self._looked

    def _peer_plug(self, event: PeerPlug, _: int) -> None:
        """Only ever forward: an older round or an earlier step is a late message."""
        old, new = self._see.peer, event.report
        if old is None or (new.round, new.step) >= (old.round, old.step):
            self._see.peer = new

    def _power_allowed(self, event: PowerAllowed, _: int) -> None:
        if event.direction is not direction_of(self._see.setting.role):
            raise WrongDirection(f"this side is the {self._see.setting.role.name.lower()}")
        self._see.allowed_w = tighter(self._see.allowed_w, event.max_power_w)
        self._renew_if_held()

    def _set_power(self, event: SetPower, _: int) -> None:
        self._see.wanted_w = event.power_w

    def _limit(self, event: Limit, _: int) -> None:
        self._see.limit_w = tighter(self._see.limit_w, event.max_power_w)
        self._renew_if_held()

    def _renew_if_held(self) -> None:
        if self._permit_at_ms is not None:
            self._renew()

    def _pause(self, event: Pause, _: int) -> None:
        self._end(event.reason)

    def _stop(self, event: Stop, _: int) -> None:
        self._latched = True
        self._end(event.reason)

    def _stop_falling(self, _: Stop, __: int) -> None:
        """A pause on its way down becomes an end."""
        self._latched = True

    def _stop_paused(self, event: Stop, _: int) -> None:
        self._latched = True
        self._out.append(Ending(event.reason))
        self._looked = False
        self._fall(FALLING.index(WELD_CHECK))

    def _refused(self, _: CommandRefused, __: int) -> None:
        """A path that can't go up or down in order is opened; one that does not open is found out by its row."""
        if self._phase is not Phase.FALLING or self.step is Step.RAMP:
            self._fault("device_refused")

    def _ignore(self, _: Event, __: int) -> None:
        """Too late to matter, and no error: the other side could not know."""

    # Going on

    def _go_on(self) -> None:
        """All that follows from what is now known, row after row."""
        while self._watch() or self._step():
            pass
        if self._phase is Phase.PAUSED and self._see.now_ms >= self._since_ms + PAUSE_LIMIT_MS:
            self._stop_paused(Stop("pause_expired"), 0)
        if self._phase is Phase.DELIVERING:
            self._follow_target()
            self._tell_derating()
        self._keep_permit()
        if self._retelling:
            self._out += self._telling.again(self._see.now_ms, counted=self._phase is Phase.DELIVERING)

    def _watch(self) -> bool:
        """Whether a guard broke and the machine is now on its way down."""
        if self._phase not in LIVE or (self._phase is Phase.FALLING and self.step is not Step.RAMP):
            return False
        if self._needs_looks and self._see.age_ms > self._see.setting.permit_ms:
            self._fault("sense_stale")
            return True
        guard = first_broken(self._see, self.step, looked=self._looked)
        if guard is None:
            return False
        if guard.ends:
            self._end(guard.code)
        else:
            self._fault(guard.code)
        return True

    def _step(self) -> bool:
        """Whether the row under way was done or ran out of time, so that the next one is to be looked at."""
        if self._index >= len(self._rows):
            return False
        row = self._rows[self._index]
        if (self._looked or not row.senses) and row.check(self._see, row.threshold):
            self._complete(row)
            return True
        if self._see.now_ms < self._since_ms + row.limit_ms:
            return False
        self._run_out(row)
        return True

    def _complete(self, row: Row) -> None:
        if row.reached is not None:
            self._out.append(Reached(row.reached))
        if row is PATTERN_IN:
            self._see.pattern = self._see.sense.pattern_read
        if row.tells is not None:
            self._tell(row.tells)
        if row is WELD_CHECK and not self._latched:
            self._rest(Phase.PAUSED, Milestone.PAUSED)
        elif self._index + 1 < len(self._rows):
            self._enter(self._rows, self._index + 1)
        elif self._phase is Phase.FALLING:
            self._rest(Phase.ENDED, None)
        else:
            self._deliver()

    def _run_out(self, row: Row) -> None:
        """A row's time is over: on the way up a fault, on the way down what is safe all the same."""
        if self._phase is not Phase.FALLING or row is RAMP:
            self._fault(row.fault)
            return
        self._latched = True
        self._out.append(Fault(row.fault, SENTENCES[row.fault]))
        if row is OFF:
            self._enter(self._rows, self._index + 1)
        else:
            self._rest(Phase.HELD, Milestone.HELD_LOCKED)

    def _enter(self, rows: tuple[Row, ...], index: int) -> None:
        self._rows, self._index = rows, index
        row = rows[index]
        if row is OFF:
            self._permit_at_ms = None
        self._since_ms = self._see.now_ms
        acts = row.act(self._see)
        self._looked = self._looked and not acts
        self._out += [Command(act) for act in acts]
        if row.energises and self._see.needs_permit and self._permit_at_ms is None:
            self._permit_at_ms = self._see.now_ms

    def _deliver(self) -> None:
        self._phase = Phase.DELIVERING
        self._index = len(self._rows)
        self._since_ms = self._see.now_ms
        self._derated_w = None
        self._see.begin_delivery()
        self._tell(PlugStep.CLOSED)
        self._out.append(Reached(Milestone.ENERGISED))

    def _rest(self, phase: Phase, milestone: Milestone | None) -> None:
        self._phase = phase
        self._rows, self._index = (), 0
        self._since_ms = self._see.now_ms
        if milestone is not None:
            self._out.append(Reached(milestone))

    # Going down

    def _end(self, reason: str) -> None:
        self._out.append(Ending(reason))
        ramps = self._see.profile.dc and self._permit_at_ms is not None
        self._fall(FALLING.index(RAMP if ramps else OFF))

    def _fault(self, code: str) -> None:
        self._latched = True
        self._out.append(Fault(code, SENTENCES[code]))
        self._fall(FALLING.index(OFF))

    def _fall(self, index: int) -> None:
        self._phase = Phase.FALLING
        self._enter(FALLING, index)

    # Power

    def _follow_target(self) -> None:
        target_w = self._see.target_w
        if target_w == self._see.asked_w:
            return
        if target_w < self._see.asked_w:
            self._see.asked_before_w = self._see.bound_w
            self._see.lowered_at_ms = self._see.now_ms
        self._see.asked_w = target_w
        self._out.append(Command(SetDevicePower(target_w)))

    def _tell_derating(self) -> None:
        look = self._see.sense
        told_w = self._see.target_w if self._derated_w is None else self._derated_w
        step_w = self._see.target_w * DERATED_STEP_PERMILLE // 1000
        if look.max_power_w < told_w - step_w or (look.max_power_w == 0 < told_w):
            self._derated_w = look.max_power_w
            self._out.append(Derated(look.max_power_w, look.limit_reason))

    def _keep_permit(self) -> None:
        """Renewed at a third of its life, and only on a look that is no older than that."""
        if self._permit_at_ms is None:
            return
        if self._see.now_ms >= self._permit_at_ms + self._see.third_ms and self._see.age_ms <= self._see.third_ms:
            self._renew()

    def _renew(self) -> None:
        self._permit_at_ms = self._see.now_ms
        self._out.append(Command(self._see.permit()))

    @property
    def _needs_looks(self) -> bool:
        """Where power may flow, also on a side whose device needs no permit: what is not seen is not watched."""
        return self._permit_at_ms is not None or self._phase is Phase.DELIVERING

    def _tell(self, step: PlugStep) -> None:
        see = self._see
        voltage_mv = (see.sense.battery_voltage_mv or 0) if step >= PlugStep.VERIFIED else 0
        report = PlugReport(see.round, step, see.pattern or 0, voltage_mv)
        self._out.append(self._telling.tell(report, see.now_ms))

    @property
    def _retelling(self) -> bool:
        """All the way up, and after it until the peer is known to be through as well."""
        if self._phase is Phase.DELIVERING:
            return self._see.peer_step is not PlugStep.CLOSED
        return self._phase is Phase.RISING


UNSET: Any = object()
"""Stands for the picture before Begin."""

RESTING = frozenset({Phase.IDLE, Phase.ENDED, Phase.HELD})
LIVE = frozenset({Phase.RISING, Phase.DELIVERING, Phase.FALLING})

_ON_THE_WAY: dict[type, Callable[[Interlock, Any, int], None]] = {
    Sensed: Interlock._sensed,
    PeerPlug: Interlock._peer_plug,
    SetPower: Interlock._set_power,
    Limit: Interlock._limit,
    Pause: Interlock._pause,
    Stop: Interlock._stop,
    CommandRefused: Interlock._refused,
    Tick: Interlock._ignore,
}
_LATE: dict[type, Callable[[Interlock, Any, int], None]] = dict.fromkeys(
    (Sensed, PeerPlug, PowerAllowed, SetPower, Limit, Pause, Stop, CommandRefused, Tick), Interlock._ignore
)
_FALLING: dict[type, Callable[[Interlock, Any, int], None]] = {
    Sensed: Interlock._sensed,
    Limit: Interlock._limit,
    Stop: Interlock._stop_falling,
    CommandRefused: Interlock._refused,
}
_TABLE: dict[Phase, dict[type, Callable[[Interlock, Any, int], None]]] = {
    Phase.IDLE: {Begin: Interlock._begin, Recover: Interlock._recover, Tick: Interlock._ignore},
    Phase.RISING: _ON_THE_WAY | {PowerAllowed: Interlock._power_allowed},
    Phase.DELIVERING: _ON_THE_WAY,
    Phase.FALLING: _LATE | _FALLING,
    Phase.PAUSED: _LATE
    | {
        Sensed: Interlock._sensed,
        PeerPlug: Interlock._peer_plug,
        PowerAllowed: Interlock._power_allowed,
        SetPower: Interlock._set_power,
        Limit: Interlock._limit,
        Resume: Interlock._resume,
        Stop: Interlock._stop_paused,
    },
    Phase.ENDED: _LATE,
    Phase.HELD: _LATE,
}
LEGAL = {(phase, event): doing for phase, row in _TABLE.items() for event, doing in row.items()}
"""The legal events of each phase, and what they do. What is not here raises NotNow and changes nothing."""
