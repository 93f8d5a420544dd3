"""What a delivery's two sides share below their steps: control numbers, what is said and written, readings.

A peer's control only tightens: its limit never raises, its Stop latches, numbers at or below the newest heard are
stale (but a Stop is a Stop, however late).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from market.delivery.account import Account
from market.delivery.agreement import Agreement
from market.delivery.registers import Registers
from market.delivery.stages import (
    BEFORE_POWER,
    METERED,
    MIN_STOP_REPEAT_MS,
    PATH_OPEN,
    POWERED,
    STOPPED,
    WATCHED,
    Stage,
    Timer,
)
from market.delivery.steps import ControlCounters, DeliveryEffect, OwnPlug, Reading
from market.errors import Reason
from market.machine import Append, LinkLost, LinkResumed, Machine, Received, Recorded, Refused, Step, Tell, nothing
from market.terms import EntryBody, Pause, Plug, PowerLimit, Ready, Start, Stop
from market.units import MAX_POWER_W

Effects = Sequence[DeliveryEffect]
C = TypeVar("C", Ready, Start, Plug, Pause, PowerLimit, Stop)


class Controlled(Machine[Stage, DeliveryEffect]):
    """The state of one side of a delivery. See `shared.Delivery` for its steps."""

    def __init__(
        self,
        agreement: Agreement,
        *,
        now_ms: int,
        account: Account | None = None,
    ) -> None:
        super().__init__(Stage.AGREED, now_ms)
        self._agreement = agreement
        self._offer = agreement.offer
        self._account = account or Account(agreement.offer)
        self._sent = self._heard = 0
        self._peer_digest = agreement.answers
        self._registers = Registers()
        self._own_limit_w = self._peer_limit_w = MAX_POWER_W
        self._allowed_w = -1
        self._own_paused = self._peer_paused = False
        self._path_off = True
        self._plug: OwnPlug | None = None
        self._reason: Reason | None = None
        self._wake(Timer.START_BY, agreement.start_by_ms)

    @property
    def counters(self) -> ControlCounters:
        """The newest control numbers. After a restart they begin anew: only Stop is said then, which always counts."""
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

    def _tell_plug(self) -> Effects:
        plug = self._plug
        if plug is None or self._state not in PATH_OPEN:
            return ()
        told = {"round": plug.round, "step": plug.step, "pattern": plug.pattern, "voltage_mv": plug.voltage_mv}
        return (self._tell(Plug, **told),)

    def _retell(self) -> Effects:
        """On a new link: what the peer may have missed and still has to keep to."""
        if Timer.STOP in self._timers:
            return self._tell_stop()
        limited = self._own_limit_w < MAX_POWER_W
        return (
            *self._tell_plug(),
            *([self._tell(Pause, paused=True)] if self._own_paused else []),
            *([self._tell(PowerLimit, power_max_w=self._own_limit_w)] if limited else []),
        )

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
