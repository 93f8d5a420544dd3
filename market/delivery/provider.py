"""The provider's side of a delivery: it begins the path, meters in intervals, keeps the exposure, and closes.

Only one Interval awaits its Receipt at a time; the next accumulates. Whatever is not receipted stays below the
offer's exposure (`power`), whether the client is slow, silent or gone; and as the agreed energy runs out the power
falls, so that it is not overstepped. While power flows the exposure is the bound of a missing Receipt; the grace
bounds how long the last one is awaited before Close, and a later one supersedes it.
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from market.delivery import account as accounts
from market.delivery.account import Account, Disputed
from market.delivery.agreement import Agreement
from market.delivery.control import Effects
from market.delivery.intervals import Mark, is_due, tariff_marks
from market.delivery.power import allowed_power_w, is_last, last_power_w, safe_for_ms
from market.delivery.shared import Delivery
from market.delivery.stages import (
    METERED,
    POWERED,
    SILENT_PERIODS,
    STOPPED,
    WATCHED,
    WRITTEN,
    Stage,
    Timer,
    said_by_peer,
)
from market.delivery.steps import DeliveryEffect, PushStatus, Reading, Restart
from market.errors import Reason
from market.machine import LedgerFailed, LinkResumed, Received, Refused, Repeat, Table, nothing, rows
from market.settlement import next_tariff_edge_ms
from market.terms import (
    Alive,
    Close,
    Closed,
    Dispute,
    Interval,
    PowerState,
    Ready,
    Receipt,
    SilenceRule,
    Start,
    Status,
)

READING_MS = 5_000
"""How long the last register is awaited once the path is off: several readings of any meter."""
STALE_STATUSES = 6
"""An Alive that names a Status older than this was delayed: by then the client has redialled."""


class ProviderDelivery(Delivery):
    """One delivery, seen by its provider. Made as the Confirm is recorded.

    account: after a restart, what `standing` says (give Restart next).
    """

    def __init__(
        self,
        agreement: Agreement,
        *,
        now_ms: int,
        account: Account | None = None,
    ) -> None:
        super().__init__(agreement, now_ms=now_ms, account=account)
        self._marks: deque[Mark] = deque()  # tariff edges and the end that wait for a Receipt: bounded by the steps
        self._before: Reading | None = None
        self._before_dispute: Account | None = None
        """The account again, where our Dispute could not be written."""
        self._read_ms = now_ms
        self._status_number = 0
        self._alive_number = 0
        self._tapers = False
        """The client has drawn its minimum at least once, so falling below it is an end."""

    # start

    def _ready(self, event: Received[Ready]) -> Effects:
        start = self._tell(Start, nonce=event.message.nonce)
        if self._state is not Stage.AGREED:
            return (start,)  # the Start before it was lost
        self._enter(Stage.PREPARING)
        self._wake(Timer.STATUS, self._now)
        return (start, *self._begin_path())

    def _prepared(self) -> Effects:
        newest = self._registers.newest
        return () if newest is None else self._interval(Mark(newest.at_ms, newest.register_wh))

    def _read_opening(self, event: Reading) -> Effects:
        self._keep_reading(event)
        return self._prepared() if self._account.open is None else ()  # the newest may be older than the path

    def _deliver(self) -> Effects:
        self._enter(Stage.DELIVERING)
        self._allowed_w, self._tapers = -1, False
        self._read_ms = self._now  # no energy has flowed since the last reading
        self._wake(Timer.SILENCE, self._now + SILENT_PERIODS * self._offer.status_period_ms)
        return self._allow()

    # metering

    def _read(self, event: Reading) -> Effects:
        if self._falls(event):
            return () if self._state is Stage.STOPPING else self._stop(Reason.REGISTER_ROLLBACK, tell=True)
        self._before = self._registers.newest
        reading = self._registers.add(event)
        waited_ms, self._read_ms = self._now - self._read_ms, self._now
        if self._before is not None:
            self._marks.extend(tariff_marks(self._offer, self._before, reading))
        reason = self._reason_to_end(reading, waited_ms) if self._state is Stage.DELIVERING else None
        if reason is not None:
            return (*self._stop(reason, tell=True), *self._next_interval())
        return self._go_on()

    def _reason_to_end(self, reading: Reading, waited_ms: int) -> Reason | None:
        if is_last(self._left_wh, reading.power_w, waited_ms):
            return Reason.ENERGY_REACHED
        if self._agreement.ends_at_ms and reading.at_ms >= self._agreement.ends_at_ms:
            return Reason.WINDOW_ENDED
        if reading.power_w >= self._agreement.power_min_w:
            self._tapers = True
            return None
        if not self._tapers:
            return None
        return Reason.ENERGY_REACHED if self._last_w < self._ceiling_w else Reason.BELOW_MIN_POWER

    @property
    def _delivered_wh(self) -> int:
        newest, first = self._registers.newest, self._account.first
        return 0 if newest is None or first is None else newest.register_wh - first.register_wh

    @property
    def _left_wh(self) -> int:
        """Of the agreed energy, by our own meter or by what both agreed on and has come since, whichever is less."""
        counted_wh = max(self._delivered_wh, self._account.agreed_wh + self._unreceipted_wh)
        return self._offer.energy_wh - counted_wh

    def _next_interval(self) -> Effects:
        """The next Interval, if one has to end and none awaits its Receipt."""
        account, newest = self._account, self._registers.newest
        if account.open is not None or account.disputed or account.last is None or newest is None:
            return ()
        while self._marks:
            mark = self._marks.popleft()
            if mark.end_at_ms > account.last.end_at_ms:
                return self._interval(mark)
        if self._before is None or self._state not in POWERED:
            return ()
        due = is_due(self._offer, account.last, self._before, newest)
        return self._interval(Mark(newest.at_ms, newest.register_wh)) if due else ()

    def _interval(self, mark: Mark) -> Effects:
        interval = Interval(
            peer=self._agreement.peer,
            number=self._account.receipts,
            end_at_ms=mark.end_at_ms,
            register_wh=mark.register_wh,
        )
        self._account = accounts.opened(self._account, interval)
        return (self._append(interval),)

    # exposure

    @property
    def _unreceipted_wh(self) -> int:
        newest, last = self._registers.newest, self._account.last
        return 0 if newest is None or last is None else newest.register_wh - last.register_wh

    @property
    def _last_w(self) -> int:
        """What the agreed energy still allows."""
        return last_power_w(self._offer, self._left_wh, self._agreement.power_min_w, self._ceiling_w)

    def _allow(self) -> Effects:
        """Never more than exposure and energy still cover until the next reading; where the exposure leaves less than
        the minimum it ends."""
        power_w = allowed_power_w(self._offer, self._unreceipted_wh, self._ceiling_w)
        if power_w < min(self._ceiling_w, max(1, self._agreement.power_min_w)):
            return self._stop(Reason.EXPOSURE_REACHED, tell=True)
        power_w = min(power_w, self._last_w)
        reckoned_w = max(power_w, self._allowed_w)  # since the last reading as much may have flowed as was allowed
        self._wake(Timer.EXPOSURE, self._read_ms + safe_for_ms(self._offer, self._unreceipted_wh, reckoned_w))
        return self._allow_power(power_w)

    def _exposed(self) -> Effects:
        return self._stop(Reason.EXPOSURE_REACHED, tell=True)

    # receipts

    def _receipt(self, event: Received[Receipt]) -> Effects:
        account, receipt = self._account, event.message
        if receipt.number < account.receipts:
            return ()
        foreign = account.open_digest and event.answers and event.answers != account.open_digest
        if account.open is None or receipt.number != account.receipts or foreign:
            return (Refused(receipt),)
        after = accounts.receipted(account, receipt)
        if isinstance(after, Disputed):
            return self._dispute(event, after)
        self._peer_digest = event.digest
        self._account = after
        return self.AFTER_RECEIPT[self._state](self)

    def _go_on(self) -> Effects:
        allowed = self._allow() if self._state is Stage.DELIVERING else ()
        return (*allowed, *self._next_interval())

    def _close_again(self) -> Effects:
        """A late valid Receipt supersedes a Close."""
        finished = self._state is Stage.UNANSWERED
        closed = self._close()
        return (*closed, *self._give_up()) if finished else closed

    def _dispute(self, event: Received[Receipt], found: Disputed) -> Effects:
        if self._state in WRITTEN:
            return (Refused(event.message, Reason.METER_DISAGREEMENT),)  # not valid: our Close stands
        if self._state is Stage.OPENING:
            return self._void(Reason.METER_DISAGREEMENT)
        self._peer_digest = event.digest
        dispute = accounts.dispute_for(self._account, found, self._agreement.peer)
        self._before_dispute = self._account
        self._account = accounts.disputed(self._account, dispute) or self._account
        written = self._append(dispute)
        return self._after_dispute(written)

    def _peer_disputes(self, event: Received[Dispute]) -> Effects:
        after = accounts.disputed(self._account, event.message)
        if after is None or event.message.number != self._account.receipts:
            return () if self._account.disputed else (Refused(event.message),)
        self._peer_digest = event.digest
        self._account = after
        return self._close_again() if self._state in WRITTEN else self._after_dispute()

    def _after_dispute(self, *written: DeliveryEffect) -> Effects:
        first = self._stop(Reason.METER_DISAGREEMENT, tell=True) if self._state in POWERED else ()
        last = self._settle() if self._state is Stage.SETTLING else ()
        return (*first, *written, *last)

    # end

    def _path_is_off(self) -> Effects:
        self._enter(Stage.READING)
        self._wake(Timer.READING, self._now + READING_MS)
        return ()

    def _read_last(self, event: Reading) -> Effects:
        before = self._registers.newest
        if not self._falls(event):
            reading = self._registers.add(event)
            if before is not None:
                self._marks.extend(tariff_marks(self._offer, before, reading))
        return self._begin_settling()

    def _begin_settling(self) -> Effects:
        self._enter(Stage.SETTLING)
        newest, known = self._registers.newest, self._newest_known
        if newest is not None and known is not None and newest.register_wh > known.register_wh:
            self._marks.append(Mark(self._last_end_ms(known.end_at_ms, newest.at_ms), newest.register_wh))
        return self._settle()

    @property
    def _newest_known(self) -> Interval | Mark | None:
        return self._marks[-1] if self._marks else self._account.open or self._account.last

    def _last_end_ms(self, known_ms: int, read_ms: int) -> int:
        """When the last interval ends. After a restart the reading may be hours younger than the energy, or the clock
        be wrong: what has flowed since the last mark belongs to the price of that time."""
        edge_ms = next_tariff_edge_ms(self._offer, known_ms)
        end_ms = max(read_ms, known_ms + 1)
        return end_ms if edge_ms is None else min(end_ms, edge_ms)

    def _settle(self) -> Effects:
        if self._account.open is None:
            interval = self._next_interval()
            if not interval:
                return self._close()
        else:
            interval = ()
        self._wake(Timer.GRACE, self._now + self._agreement.grace_ms)
        return interval

    def _peer_closes(self, event: Received[Close]) -> Effects:
        """Of two Closes ours stands, so what is left of it here is a Stop."""
        return self._stop(said_by_peer(event.message.reason), tell=False)

    def _closed(self, event: Received[Closed]) -> Effects:
        if not self._account.matches(event.message):
            return (Refused(event.message),)
        return self._finish(Stage.FINISHED)

    def _close_repeated(self, _: Received[Close]) -> Effects:
        """Ours stands, and the client would have answered it: so it has not come."""
        return (Repeat(self._peer_digest),)

    def _unwritten(self, _: LedgerFailed) -> Effects:
        if self._before_dispute is not None:
            self._account, self._before_dispute = self._before_dispute, None
        elif self._account.open is not None and not self._account.open_digest:
            self._account = accounts.unopened(self._account)
        return self._stop(Reason.LEDGER_FAULT, tell=True) if self._state in POWERED else ()

    def _restart(self, event: Restart) -> Effects:
        effects = super()._restart(event)
        self._wake(Timer.STATUS, self._now)  # a client that comes back hears at once how things stand
        return effects

    # status

    def _push_status(self) -> Effects:
        self._wake(Timer.STATUS, self._now + self._offer.status_period_ms)
        self._status_number += 1
        newest = self._registers.newest
        delivering = self._state is Stage.DELIVERING and newest is not None
        power_w = newest.power_w if delivering and newest is not None else 0
        shown = POWER_STATES.get(self._state, PowerState.OFF)
        return (PushStatus(Status(self._status_number, self._delivered_wh, power_w, shown)),)

    def _alive(self, event: Received[Alive]) -> Effects:
        number = event.message.status_number
        if number < self._alive_number or number < self._status_number - STALE_STATUSES:
            return ()
        self._alive_number = min(number, self._status_number)
        if self._state is Stage.DELIVERING:
            self._wake(Timer.SILENCE, self._now + SILENT_PERIODS * self._offer.status_period_ms)
        return ()

    def _silent(self) -> Effects:
        """Under the other rule a blackout is the greater harm, and the delivery goes on to the agreed exposure."""
        off = self._offer.silence is SilenceRule.POWER_OFF
        return self._stop(Reason.SILENCE, tell=True) if off else ()

    def _resumed(self, _: LinkResumed) -> Effects:
        if self._state is Stage.DELIVERING:
            self._wake(Timer.SILENCE, self._now + SILENT_PERIODS * self._offer.status_period_ms)
        return self._retell()

    AFTER_RECEIPT: ClassVar[dict[Stage, Callable[["ProviderDelivery"], Effects]]] = {
        Stage.OPENING: _deliver,
        **dict.fromkeys((*POWERED, Stage.STOPPING, Stage.READING), _go_on),
        Stage.SETTLING: _settle,
        **dict.fromkeys(WRITTEN, _close_again),
    }
    ALWAYS: ClassVar = {**Delivery.ALWAYS, LinkResumed: _resumed}
    RUNS_IN: ClassVar = {**Delivery.RUNS_IN, Timer.SILENCE: frozenset({Stage.DELIVERING})}
    TIMEOUTS: ClassVar = {
        **Delivery.COMMON_TIMEOUTS,
        Timer.EXPOSURE: _exposed,
        Timer.SILENCE: _silent,
        Timer.STATUS: _push_status,
        Timer.READING: _begin_settling,
        Timer.GRACE: Delivery._close,
        Timer.CLOSE: Delivery._give_up,
    }
    STEPS: ClassVar[Table] = {
        **Delivery.COMMON_STEPS,
        (Stage.AGREED, Restart): _restart,
        **rows((Stage.AGREED, Stage.PREPARING, Stage.OPENING), {Ready: _ready}),
        (Stage.OPENING, Reading): _read_opening,
        **rows((*POWERED, Stage.STOPPING), {Reading: _read}),
        (Stage.READING, Reading): _read_last,
        **rows(METERED, {Receipt: _receipt}),
        **rows((Stage.VOIDING, Stage.FINISHED), {Receipt: nothing, Close: nothing}),
        **rows((*POWERED, *STOPPED, *WRITTEN), {Dispute: _peer_disputes}),
        **rows(POWERED, {Close: _peer_closes, LedgerFailed: _unwritten}),
        **rows((Stage.STOPPING, Stage.READING), {LedgerFailed: _unwritten}),
        **rows((*STOPPED, Stage.CLOSING), {Close: nothing}),
        (Stage.UNANSWERED, Close): _close_repeated,
        **rows(WRITTEN, {Closed: _closed}),
        **rows((Stage.FINISHED,), {Closed: nothing}),
        **rows(WATCHED, {Alive: _alive}),
        **rows((*WRITTEN, Stage.VOIDING, Stage.FINISHED), {Alive: nothing}),
    }


POWER_STATES: dict[Stage, PowerState] = {
    Stage.PREPARING: PowerState.PREPARING,
    Stage.OPENING: PowerState.READY,
    Stage.DELIVERING: PowerState.DELIVERING,
    Stage.PAUSED: PowerState.PAUSED,
    Stage.RESUMING: PowerState.PREPARING,
    Stage.STOPPING: PowerState.STOPPING,
}
