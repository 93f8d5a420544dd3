"""What both sides of a delivery do alike: control numbers, limits, pause, stop, void, and the power path.

Two rules hold everywhere. Power goes off first and the entry is written after it; a failed append is itself a Stop.
And a peer's control only tightens: its limit never raises, its Stop latches, numbers at or below the newest are
stale (but a Stop is a Stop, however late).
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, ClassVar, TypeVar

from market.delivery.account import Account
from market.delivery.agreement import Agreement
from market.delivery.registers import Registers
from market.delivery.stages import (
    BEFORE_POWER,
    CLOSE_WAIT_MS,
    METERED,
    MIN_STOP_REPEAT_MS,
    PATH_OFF_MS,
    PATH_OPEN,
    POWERED,
    STOPPED,
    WATCHED,
    WRITTEN,
    Stage,
    Timer,
    said_by_peer,
)
from market.delivery.steps import (
    AllowPower,
    BeginPath,
    ControlCounters,
    CutPower,
    DeliveryEffect,
    Finished,
    OwnerLimit,
    OwnerPause,
    OwnerStop,
    OwnPlug,
    PathEnded,
    PathPrepared,
    PlugHeard,
    Reading,
    SuspendPath,
)
from market.errors import Reason
from market.machine import (
    Append,
    LedgerFailed,
    LinkLost,
    LinkResumed,
    Machine,
    Received,
    Recorded,
    Refused,
    Step,
    Table,
    Tell,
    nothing,
    rows,
)
from market.terms import Close, EntryBody, Pause, Plug, PowerLimit, Ready, Start, Stop, Void
from market.units import MAX_POWER_W

Effects = Sequence[DeliveryEffect]
C = TypeVar("C", Ready, Start, Plug, Pause, PowerLimit, Stop)


class Delivery(Machine[Stage, DeliveryEffect]):
    """One side of one delivery, from Confirm to Closed. See `provider` and `client`."""

    def __init__(
        self,
        agreement: Agreement,
        *,
        now_ms: int,
        account: Account | None = None,
        counters: ControlCounters = ControlCounters(),  # noqa: B008  # frozen
    ) -> None:
        super().__init__(Stage.AGREED, now_ms)
        self._agreement = agreement
        self._offer = agreement.offer
        self._account = account or Account(agreement.offer)
        self._sent, self._heard = counters.sent, counters.heard
        self._peer_digest = agreement.answers
        self._registers = Registers()
        self._own_limit_w = self._peer_limit_w = MAX_POWER_W
        self._allowed_w = -1
        self._own_paused = self._peer_paused = False
        self._path_off = True
        self._reason: Reason | None = None
        self._wake(Timer.START_BY, agreement.start_by_ms)

    @property
    def counters(self) -> ControlCounters:
        """To be kept for a restart."""
        return ControlCounters(self._sent, self._heard)

    @property
    def account(self) -> Account:
        """What the delivery has come to so far."""
        return self._account

    @property
    def reason(self) -> Reason | None:
        """Why it ends, once it does."""
        return self._reason

    def handle(self, event: object, now_ms: int) -> tuple[DeliveryEffect, ...]:
        """One step; see `Machine.handle`. A stale control message is passed over."""
        seq = getattr(event.message, "seq", None) if isinstance(event, Received) else None
        if seq is None or not isinstance(event, Received):
            return super().handle(event, now_ms)
        if seq <= self._heard and not isinstance(event.message, Stop):
            return ()
        effects = super().handle(event, now_ms)
        if not any(isinstance(each, Refused) for each in effects):
            self._heard = max(self._heard, seq)
        return effects

    # saying and writing

    def _tell(self, kind: type[C], **values: Any) -> Tell:
        self._sent += 1
        return Tell(kind(seq=self._sent, **values))

    def _append(self, message: EntryBody) -> Append:
        return Append(message, self._peer_digest)

    def _tell_stop(self) -> Effects:
        reason = (self._reason or Reason.STOPPED_BY_OWNER).for_peer
        self._wake(Timer.STOP, self._now + max(MIN_STOP_REPEAT_MS, self._offer.status_period_ms))
        return (self._tell(Stop, reason=reason),)

    def _retell(self) -> Effects:
        """On a new link: what the peer may have missed and still has to keep to."""
        if Timer.STOP in self._timers:
            return self._tell_stop()
        limited = self._own_limit_w < MAX_POWER_W
        return (
            *([self._tell(Pause, paused=True)] if self._own_paused else []),
            *([self._tell(PowerLimit, power_max_w=self._own_limit_w)] if limited else []),
        )

    # ends

    @abstractmethod
    def _path_is_off(self) -> Effects:
        """After a stop the power path is off: go on to settle."""

    @abstractmethod
    def _allow(self) -> Effects:
        """Allow the power that may flow now; only while DELIVERING."""

    @abstractmethod
    def _prepared(self) -> Effects:
        """The path is prepared for the first time."""

    @abstractmethod
    def _deliver(self) -> Effects:
        """Power may flow from now on."""

    def _stop(self, reason: Reason, *, tell: bool) -> Effects:
        self._reason = reason
        self._enter(Stage.STOPPING)
        self._wake(Timer.PATH, self._now + PATH_OFF_MS)
        told = self._tell_stop() if tell else ()
        return (CutPower(reason), *told, *(self._path_is_off() if self._path_off else ()))

    def _void(self, reason: Reason, *, write: bool = True) -> Effects:
        self._reason = reason
        cut = () if self._path_off else (CutPower(reason),)
        void = Void(peer=self._agreement.peer, at_ms=0, reason=reason.for_peer)
        written = (self._append(void),) if write else ()
        self._enter(Stage.VOIDING)
        self._wake(Timer.PATH, self._now + PATH_OFF_MS)
        return (*cut, *written, *(self._voided() if self._path_off else ()))

    def _voided(self) -> Effects:
        self._enter(Stage.FINISHED)
        return (Finished(self._reason or Reason.WITHDRAWN, 0, (), 0, answered=True),)

    def _end(self, reason: Reason) -> Effects:
        return self._void(reason) if self._state in BEFORE_POWER else self._stop(reason, tell=True)

    def _owner_stops(self, event: OwnerStop) -> Effects:
        return self._end(event.reason)

    def _peer_stops(self, event: Received[Stop]) -> Effects:
        reason = said_by_peer(event.message.reason)
        return self._void(reason) if self._state in BEFORE_POWER else self._stop(reason, tell=False)

    def _peer_voids(self, event: Received[Void]) -> Effects:
        self._peer_digest = event.digest
        return self._void(event.message.reason, write=False)

    def _not_started(self) -> Effects:
        return self._void(Reason.START_BY_PASSED)

    def _unwritten_start(self, _: LedgerFailed) -> Effects:
        self._reason = Reason.LEDGER_FAULT
        return (*self._void(Reason.LEDGER_FAULT, write=False), self._tell(Stop, reason=Reason.LEDGER_FAULT))

    def _finish(self, stage: Stage) -> Effects:
        self._enter(stage)
        account, reason = self._account, self._reason or Reason.STOPPED_BY_PEER
        answered = stage is Stage.FINISHED
        return (Finished(reason, account.agreed_wh, account.amounts_micro, account.receipts, answered),)

    def _give_up(self) -> Effects:
        return self._finish(Stage.UNANSWERED)

    def _unwritten_last(self, _: LedgerFailed) -> Effects:
        """Void or Closed could not be written: it is over all the same, but nothing in writing says so."""
        return self._finish(Stage.UNANSWERED if self._account.receipts else Stage.FINISHED)

    def _unwritten_end(self, _: LedgerFailed) -> Effects:
        self._reason = Reason.LEDGER_FAULT
        return self._give_up()

    def _close(self) -> Effects:
        account = self._account
        close = Close(
            peer=self._agreement.peer,
            at_ms=0,
            reason=(self._reason or Reason.STOPPED_BY_OWNER).for_peer,
            receipts=account.receipts,
            agreed_wh=account.agreed_wh,
            amounts_micro=account.amounts_micro,
        )
        self._enter(Stage.CLOSING)
        self._wake(Timer.CLOSE, self._now + CLOSE_WAIT_MS)
        return (self._append(close),)

    # the path

    def _begin_path(self) -> Effects:
        self._path_off = False
        return (BeginPath(),)

    def _path_prepared(self, _: PathPrepared) -> Effects:
        self._enter(Stage.OPENING)
        return self._prepared()

    def _path_prepared_again(self, _: PathPrepared) -> Effects:
        return self._deliver()

    def _path_failed(self, event: PathEnded) -> Effects:
        self._path_off = True
        return self._end(event.reason or Reason.POWER_FAULT)

    def _path_suspended(self, event: PathEnded) -> Effects:
        if event.reason is not None:
            return self._path_failed(event)
        self._path_off = True
        return self._pause_changed()

    def _path_ended(self, _: PathEnded) -> Effects:
        self._path_off = True
        return self._path_is_off()

    def _path_voided(self, _: PathEnded) -> Effects:
        self._path_off = True
        return self._voided()

    def _path_overdue(self) -> Effects:
        step = self._path_voided if self._state is Stage.VOIDING else self._path_ended
        return step(PathEnded())

    def _own_plug(self, event: OwnPlug) -> Effects:
        return (
            self._tell(Plug, round=event.round, step=event.step, pattern=event.pattern, voltage_mv=event.voltage_mv),
        )

    def _peer_plug(self, event: Received[Plug]) -> Effects:
        return (PlugHeard(event.message),)

    # pause and limits

    def _owner_pauses(self, event: OwnerPause) -> Effects:
        if event.paused == self._own_paused:
            return ()
        self._own_paused = event.paused
        return (*self._pause_changed(), self._tell(Pause, paused=event.paused))

    def _peer_pauses(self, event: Received[Pause]) -> Effects:
        self._peer_paused = event.message.paused
        return self._pause_changed()

    def _pause_changed(self) -> Effects:
        paused = self._own_paused or self._peer_paused
        if paused and self._state is not Stage.PAUSED:
            self._enter(Stage.PAUSED)
            if Timer.PAUSE not in self._timers:
                self._wake(Timer.PAUSE, self._now + self._offer.pause_max_ms)
            return (SuspendPath(),)
        if paused or self._state is not Stage.PAUSED or not self._path_off:
            return ()
        self._enter(Stage.RESUMING)
        return self._begin_path()

    def _pause_expired(self) -> Effects:
        return self._stop(Reason.PAUSE_EXPIRED, tell=True)

    @property
    def _ceiling_w(self) -> int:
        return min(self._agreement.power_max_w, self._own_limit_w, self._peer_limit_w)

    def _owner_limits(self, event: OwnerLimit) -> Effects:
        self._own_limit_w = event.power_max_w
        return (*self._limited(), self._tell(PowerLimit, power_max_w=event.power_max_w))

    def _peer_limits(self, event: Received[PowerLimit]) -> Effects:
        self._peer_limit_w = min(self._peer_limit_w, event.message.power_max_w)
        return self._limited()

    def _limited(self) -> Effects:
        if self._ceiling_w < self._agreement.power_min_w:
            return self._end(Reason.BELOW_MIN_POWER)
        return self._allow() if self._state is Stage.DELIVERING else ()

    def _allow_power(self, power_w: int) -> Effects:
        if power_w == self._allowed_w:
            return ()
        self._allowed_w = power_w
        return (AllowPower(power_w),)

    # always legal

    def _recorded(self, event: Recorded) -> Effects:
        if event.message == self._account.open:
            self._account = replace(self._account, open_digest=event.digest)
        return ()

    def _falls(self, reading: Reading) -> bool:
        newest = self._registers.newest
        return newest is not None and reading.register_wh < newest.register_wh

    def _keep_reading(self, event: Reading) -> Effects:
        if not self._falls(event):
            self._registers.add(event)
        return ()

    ALWAYS: ClassVar[Mapping[type, Step]] = {
        Recorded: _recorded,
        Reading: _keep_reading,
        LinkLost: nothing,
        LinkResumed: nothing,
    }
    RUNS_IN: ClassVar = {
        Timer.START_BY: frozenset(BEFORE_POWER),
        Timer.START: frozenset({Stage.STARTING}),
        Timer.PAUSE: frozenset({Stage.PAUSED, Stage.RESUMING}),
        Timer.EXPOSURE: frozenset({Stage.DELIVERING}),
        Timer.SILENCE: frozenset(WATCHED),
        Timer.GONE: frozenset(POWERED),
        Timer.STATUS: frozenset(WATCHED),
        Timer.PATH: frozenset({Stage.STOPPING, Stage.VOIDING}),
        Timer.STOP: frozenset(STOPPED),
        Timer.READING: frozenset({Stage.READING}),
        Timer.GRACE: frozenset({Stage.SETTLING}),
        Timer.WAIT: frozenset(METERED),
        Timer.CLOSE: frozenset({Stage.SETTLING, Stage.CLOSING}),
    }
    COMMON_TIMEOUTS: ClassVar[Mapping[Enum, Callable[[Any], Sequence[Any]]]] = {
        Timer.START_BY: _not_started,
        Timer.PAUSE: _pause_expired,
        Timer.PATH: _path_overdue,
        Timer.STOP: _tell_stop,
    }
    COMMON_STEPS: ClassVar[Table] = {
        **rows(
            BEFORE_POWER,
            {
                OwnerStop: _owner_stops,
                OwnerLimit: _owner_limits,
                PowerLimit: _peer_limits,
                Stop: _peer_stops,
                Void: _peer_voids,
                LedgerFailed: _unwritten_start,
            },
        ),
        **rows(
            POWERED,
            {
                OwnerStop: _owner_stops,
                OwnerLimit: _owner_limits,
                OwnerPause: _owner_pauses,
                PowerLimit: _peer_limits,
                Pause: _peer_pauses,
                Stop: _peer_stops,
            },
        ),
        **rows(PATH_OPEN, {OwnPlug: _own_plug, Plug: _peer_plug, PathEnded: _path_failed}),
        (Stage.PREPARING, PathPrepared): _path_prepared,
        (Stage.RESUMING, PathPrepared): _path_prepared_again,
        (Stage.PAUSED, PathPrepared): nothing,
        (Stage.PAUSED, PathEnded): _path_suspended,
        (Stage.STOPPING, PathEnded): _path_ended,
        (Stage.VOIDING, PathEnded): _path_voided,
        **rows((Stage.STOPPING, Stage.VOIDING), {PathPrepared: nothing}),
        **rows(
            (*STOPPED, *WRITTEN, Stage.VOIDING, Stage.FINISHED),
            {
                OwnerStop: nothing,
                OwnerPause: nothing,
                OwnerLimit: nothing,
                OwnPlug: nothing,
                Stop: nothing,
            },
        ),
        **rows((Stage.READING, Stage.SETTLING, *WRITTEN, Stage.FINISHED), {PathEnded: nothing}),
        **rows((Stage.VOIDING, Stage.FINISHED), {Void: nothing}),
        (Stage.VOIDING, LedgerFailed): nothing,
        (Stage.FINISHED, LedgerFailed): _unwritten_last,
        **rows((Stage.SETTLING, Stage.CLOSING), {LedgerFailed: _unwritten_end}),
        (Stage.UNANSWERED, LedgerFailed): nothing,
    }
