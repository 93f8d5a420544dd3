"""What both sides of a delivery do alike: limits, pause, stop, void, and the power path.

Power goes off first and the entry is written after it; a failed append is itself a Stop.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

from market.delivery.control import Controlled, Effects
from market.delivery.stages import (
    BEFORE_POWER,
    CLOSE_WAIT_MS,
    PATH_OFF_MS,
    PATH_OPEN,
    POWERED,
    STOPPED,
    WRITTEN,
    Stage,
    Timer,
    said_by_peer,
)
from market.delivery.steps import (
    AllowPower,
    BeginPath,
    CutPower,
    Finished,
    OwnerLimit,
    OwnerPause,
    OwnerStop,
    OwnPlug,
    PathEnded,
    PathPrepared,
    PlugHeard,
    Restart,
    SuspendPath,
    Written,
)
from market.errors import Reason
from market.machine import (
    LedgerFailed,
    Received,
    Table,
    nothing,
    rows,
)
from market.terms import Close, Pause, Plug, PowerLimit, Stop, Void


class Delivery(Controlled):
    """One side of one delivery, from Confirm to Closed. See `provider` and `client`."""

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
        void = Void(peer=self._agreement.peer, at_s=0, reason=reason.for_peer)
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

    def _restart(self, event: Restart) -> Effects:
        self._reason = event.reason
        if event.written is Written.END:
            return self._finish(Stage.FINISHED)
        if event.written is Written.CLOSE:
            return self._give_up()
        self._path_off = False  # nobody has looked yet
        return self._stop(event.reason, tell=True) if self._account.receipts else self._void(event.reason)

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
            at_s=0,
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
        self._plug = event
        return self._tell_plug()

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

    COMMON_TIMEOUTS: ClassVar[Mapping[Enum, Callable[[Any], Sequence[Any]]]] = {
        Timer.START_BY: _not_started,
        Timer.PAUSE: _pause_expired,
        Timer.PATH: _path_overdue,
        Timer.STOP: Controlled._tell_stop,
    }
    COMMON_STEPS: ClassVar[Table] = {
        (Stage.AGREED, Restart): lambda self, event: self._restart(event),
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
        **rows((*STOPPED, *WRITTEN, Stage.VOIDING, Stage.FINISHED), {PathPrepared: nothing}),
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
