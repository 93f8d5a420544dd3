"""The client's side of a delivery: it asks for the start, checks and receipts each Interval, and answers the Close.

Each Interval is compared with the client's own register, interpolated to the Interval's end. While the provider is
silent the client subscribes again and redials; the provider decides whether power flows on (the agreed silence rule).
"""

from collections.abc import Callable
from typing import ClassVar

from market.delivery import account as accounts
from market.delivery.account import Account, Disputed, Reckoned
from market.delivery.agreement import Agreement
from market.delivery.control import Effects
from market.delivery.intervals import most
from market.delivery.shared import Delivery
from market.delivery.stages import (
    CLOSE_WAIT_MS,
    METERED,
    PATH_OPEN,
    POWERED,
    SILENT_PERIODS,
    STOPPED,
    WATCHED,
    WRITTEN,
    Stage,
    Timer,
    said_by_peer,
)
from market.delivery.steps import (
    Plugged,
    Reading,
    Redial,
    Resubscribe,
)
from market.errors import Reason
from market.machine import (
    Append,
    LedgerFailed,
    LinkLost,
    LinkResumed,
    Received,
    Recorded,
    Refused,
    Repeat,
    Table,
    Tell,
    nothing,
    rows,
)
from market.settlement import tolerance_wh
from market.terms import Alive, Close, Closed, Confirm, Dispute, Interval, Ready, Receipt, Start, Status, Void

FRESH_START_MS = 10_000
"""A Start must echo a Ready that is no older (protocol: Messages), or a delayed one could begin by surprise."""
INTERPOLATION_WAIT_MS = 2_000
"""How long an own reading beyond an Interval's end is awaited; then the newest counts (the clocks differ)."""
GONE_MS = 120_000
"""Without any sign of the provider for this long, or for `GONE_PERIODS`, the client ends it on its side."""
GONE_PERIODS = 12
"""Twice the silence after which it redials."""

RUNNING = (*POWERED, *STOPPED, *WRITTEN)


def totals(close: Close) -> tuple[int, int]:
    """What tells a newer Close from an older one."""
    return close.receipts, close.agreed_wh


class ClientDelivery(Delivery):
    """One delivery, seen by its client. Made with the Confirm, or with the Accept to say Ready in the same frame.

    draw_nonce: gives 8 random bytes for each Ready. account: after a restart, what `standing` says (give Restart next).
    """

    def __init__(
        self,
        agreement: Agreement,
        draw_nonce: Callable[[], bytes],
        *,
        now_ms: int,
        account: Account | None = None,
    ) -> None:
        super().__init__(agreement, now_ms=now_ms, account=account)
        self._draw_nonce = draw_nonce
        self._made_ms, self._receipts_before = now_ms, self._account.receipts
        self._nonce = b""
        self._status_number = 0
        self._silences = 0
        self._receipted_digest = b""
        self._if_unwritten: tuple[Account, bytes] | None = None
        """What account and newest receipted Interval are again where our newest entry could not be written."""
        self._their_close: Received[Close] | None = None
        self._closed_digest = b""

    # start

    def _say_ready(self) -> Effects:
        self._nonce = self._draw_nonce()
        self._await_start()
        return (self._tell(Ready, nonce=self._nonce),)

    def _await_start(self) -> None:
        self._enter(Stage.STARTING)
        self._wake(Timer.START, self._now + FRESH_START_MS)

    def _plugged(self, event: Plugged) -> Effects:
        if event.said is None:
            return self._say_ready()
        self._sent, self._nonce = event.said.seq, event.said.nonce
        self._await_start()
        return ()

    def _confirmed(self, event: Received[Confirm]) -> Effects:
        self._peer_digest = event.digest
        return ()

    def _start(self, event: Received[Start]) -> Effects:
        if event.message.nonce != self._nonce:
            return (Refused(event.message),)
        self._enter(Stage.PREPARING)
        self._heard_provider()
        self._wake(Timer.STATUS, self._now)
        return self._begin_path()

    def _prepared(self) -> Effects:
        return self._answer_interval()

    def _deliver(self) -> Effects:
        self._enter(Stage.DELIVERING)
        self._allowed_w = -1
        self._heard_provider()
        return self._allow()

    def _allow(self) -> Effects:
        return self._allow_power(self._ceiling_w)

    # metering

    def _read(self, event: Reading) -> Effects:
        if self._falls(event):
            return self._stop(Reason.REGISTER_ROLLBACK, tell=True) if self._state in POWERED else ()
        self._registers.add(event)
        stopped = self._stop(Reason.ENERGY_REACHED, tell=True) if self._is_too_much(event) else ()
        return (*stopped, *self._answer_interval())

    def _is_too_much(self, reading: Reading) -> bool:
        """Whether a provider that should have stopped goes on: what it delivers beyond the agreement we would owe."""
        if self._state is not Stage.DELIVERING or self._account.first is None:
            return False
        agreed_wh = min(self._offer.energy_wh, self._agreement.energy_max_wh)
        over_wh = reading.register_wh - self._account.opening_wh - agreed_wh
        return over_wh > tolerance_wh(self._offer.tolerance, agreed_wh)

    def _interval(self, event: Received[Interval]) -> Effects:
        account, interval = self._account, event.message
        if event.digest in (self._receipted_digest, account.open_digest) or interval.number < account.receipts:
            return (Repeat(event.digest),) if event.digest == self._receipted_digest else ()
        fault = accounts.interval_fault(account, interval)
        if fault is Reason.OUT_OF_STEP or (fault is not None and self._state not in POWERED):
            return (Refused(interval, fault),)
        if fault is not None:
            return (Refused(interval, fault), *self._stop(fault, tell=True))
        if self._are_too_many(interval):
            return (Refused(interval), *(self._stop(Reason.OUT_OF_STEP, tell=True) if self._state in POWERED else ()))
        self._heard_provider()
        self._peer_digest = event.digest
        self._account = accounts.opened(account, interval, event.digest)
        return self._answer_interval()

    def _are_too_many(self, interval: Interval) -> bool:
        """Whether neither time nor energy calls for one more: each costs us an entry of our own."""
        first = self._account.first
        energy_wh = 0 if first is None else interval.register_wh - first.register_wh
        fair = most(self._offer, self._now - self._made_ms, max(0, energy_wh))
        return interval.number - self._receipts_before > fair

    def _answer_interval(self, *, at_once: bool = False) -> Effects:
        """The Receipt of the open Interval, as soon as our own register at its end is known."""
        interval = self._account.open
        if interval is None or self._state not in METERED:
            return ()
        if not at_once and not self._registers.covers(interval.end_at_ms):
            if Timer.WAIT not in self._timers:
                self._wake(Timer.WAIT, self._now + INTERPOLATION_WAIT_MS)
            return ()
        self._timers.pop(Timer.WAIT, None)
        register_wh = self._register_at(interval.end_at_ms)
        return () if register_wh is None else self._write_receipt(max(register_wh, self._account.client_wh))

    def _register_at(self, at_ms: int) -> int | None:
        oldest = self._registers.oldest
        if oldest is None or oldest.at_ms <= at_ms or self._account.first is None:
            return self._registers.at(at_ms)
        return accounts.unseen_register_wh(self._account, oldest.register_wh)

    def _answer_overdue(self) -> Effects:
        return self._answer_interval(at_once=True)

    def _write_receipt(self, register_wh: int) -> Effects:
        account = self._account
        reckoned = accounts.reckon(account, register_wh)
        if isinstance(reckoned, Disputed):
            return self._dispute(reckoned)
        return self._receipt(account, reckoned, register_wh)

    def _receipt(self, account: Account, reckoned: Reckoned, register_wh: int) -> Effects:
        receipt = accounts.receipt_for(account, reckoned, self._agreement.peer, register_wh)
        after = accounts.receipted(account, receipt)
        if isinstance(after, Disputed):
            return self._dispute(after)
        self._if_unwritten = self._account, self._receipted_digest
        self._account, self._receipted_digest = after, account.open_digest
        return (Append(receipt, account.open_digest),)

    def _receipt_recorded(self, event: Recorded) -> Effects:
        """No power before the opening Receipt is durable."""
        self._if_unwritten = None
        opened = self._state is Stage.OPENING and isinstance(event.message, Receipt)
        return self._deliver() if opened else ()

    def _opening_unwritten(self, event: LedgerFailed) -> Effects:
        self._account = Account(self._offer)
        return self._unwritten_start(event)

    def _dispute(self, found: Disputed) -> Effects:
        dispute = accounts.dispute_for(self._account, found, self._agreement.peer)
        written = Append(dispute, self._account.open_digest)
        self._if_unwritten = self._account, self._receipted_digest
        self._account = accounts.disputed(self._account, dispute) or self._account
        first = self._stop(Reason.METER_DISAGREEMENT, tell=True) if self._state in POWERED else ()
        return (*first, written)

    def _peer_disputes(self, event: Received[Dispute]) -> Effects:
        if event.message.number >= self._account.receipts:
            return () if self._account.disputed else (Refused(event.message),)
        after = accounts.disputed(self._account, event.message)
        if after is None:
            return () if self._account.disputed else (Refused(event.message),)
        self._peer_digest = event.digest
        self._account = after
        if self._state in POWERED:
            return self._stop(Reason.METER_DISAGREEMENT, tell=False)
        return () if self._state is Stage.STOPPING else self._answer_held()

    def _unwritten(self, _: LedgerFailed) -> Effects:
        """A Receipt or Dispute that was not written does not count, and was sent to nobody."""
        if self._if_unwritten is not None:
            (self._account, self._receipted_digest), self._if_unwritten = self._if_unwritten, None
        return self._stop(Reason.LEDGER_FAULT, tell=True) if self._state in POWERED else ()

    def _unwritten_settling(self, event: LedgerFailed) -> Effects:
        return (*self._unwritten(event), *self._unwritten_end(event))

    # end

    def _path_is_off(self) -> Effects:
        self._enter(Stage.SETTLING)
        self._wake(Timer.CLOSE, self._now + CLOSE_WAIT_MS)
        return self._answer_held()

    def _void_late(self, event: Received[Void]) -> Effects:
        """The provider's Void crossed our opening Receipt: it never saw that, so it never delivered."""
        if self._account.receipts > 1:
            return (Refused(event.message),)
        self._account = Account(self._offer)
        return self._peer_voids(event)

    def _closes_running(self, event: Received[Close]) -> Effects:
        self._hold(event)
        return self._stop(said_by_peer(event.message.reason), tell=False)

    def _closes_stopping(self, event: Received[Close]) -> Effects:
        self._hold(event)
        return ()

    def _hold(self, event: Received[Close]) -> None:
        """Keep a Close until it can be answered. An older one may come later: what supersedes a Close only adds."""
        held = self._their_close
        if held is None or totals(event.message) >= totals(held.message):
            self._their_close = event

    def _answer_held(self) -> Effects:
        held, self._their_close = self._their_close, None
        return () if held is None else self._answer_close(held)

    def _answer_close(self, event: Received[Close]) -> Effects:
        if self._account.open is not None:
            answered = self._answer_interval(at_once=True)
            if answered:
                return answered  # it supersedes this Close: the provider closes anew
        if self._account.matches(event.message):
            return self._write_closed(event)
        if event.message.receipts == self._account.receipts - 1 and self._receipted_digest:
            self._hold(event)  # it lacks our newest Receipt, or a Dispute about that is still on its way
            return (Repeat(self._receipted_digest),)
        return (Refused(event.message),)

    def _write_closed(self, event: Received[Close]) -> Effects:
        account = self._account
        self._reason = self._reason or said_by_peer(event.message.reason)
        self._closed_digest = self._peer_digest = event.digest
        closed = Closed(
            peer=self._agreement.peer,
            at_s=0,
            receipts=account.receipts,
            agreed_wh=account.agreed_wh,
            amounts_micro=account.amounts_micro,
        )
        return (self._append(closed), *self._finish(Stage.FINISHED))

    def _closes_again(self, event: Received[Close]) -> Effects:
        return (Repeat(event.digest),) if event.digest == self._closed_digest else ()

    def _closed(self, event: Received[Closed]) -> Effects:
        if not self._account.matches(event.message):
            return (Refused(event.message),)
        return self._finish(Stage.FINISHED)

    def _unclosed(self) -> Effects:
        """The provider has not closed in time: we do, and its own Close stands should it come."""
        return self._give_up() if self._state is Stage.CLOSING else self._close()

    # signs of life

    def _heard_provider(self) -> None:
        self._silences = 0
        periods = self._offer.status_period_ms
        self._wake(Timer.SILENCE, self._now + SILENT_PERIODS * periods)
        self._wake(Timer.GONE, self._now + max(GONE_MS, GONE_PERIODS * periods))

    def _status(self, event: Received[Status]) -> Effects:
        if event.message.number > self._status_number:
            self._status_number = event.message.number
            self._heard_provider()
        return ()

    def _say_alive(self) -> Effects:
        self._wake(Timer.STATUS, self._now + self._offer.status_period_ms)
        newest, opening_wh = self._registers.newest, self._account.opening_wh
        received_wh = 0 if newest is None or self._account.first is None else newest.register_wh - opening_wh
        return (Tell(Alive(self._status_number, max(0, received_wh))),)

    def _silent(self) -> Effects:
        self._silences += 1
        self._wake(Timer.SILENCE, self._now + SILENT_PERIODS * self._offer.status_period_ms)
        return (Resubscribe(),) if self._silences == 1 else (Redial(),)

    def _gone(self) -> Effects:
        return self._stop(Reason.SILENCE, tell=True)

    def _lost(self, _: LinkLost) -> Effects:
        return (Redial(),) if self._state in (*WATCHED, Stage.STARTING, *WRITTEN) else ()

    def _resumed(self, _: LinkResumed) -> Effects:
        self._status_number = 0  # a provider that was restarted counts anew, and must not take our word for its own
        if self._state in WATCHED:
            self._silences = 0
            self._wake(Timer.SILENCE, self._now + SILENT_PERIODS * self._offer.status_period_ms)
        return self._retell()

    ALWAYS: ClassVar = {
        **Delivery.ALWAYS,
        Recorded: _receipt_recorded,
        LinkLost: _lost,
        LinkResumed: _resumed,
    }
    TIMEOUTS: ClassVar = {
        **Delivery.COMMON_TIMEOUTS,
        Timer.START: _say_ready,
        Timer.WAIT: _answer_overdue,
        Timer.STATUS: _say_alive,
        Timer.SILENCE: _silent,
        Timer.GONE: _gone,
        Timer.CLOSE: _unclosed,
    }
    STEPS: ClassVar[Table] = {
        **Delivery.COMMON_STEPS,
        **rows(tuple(Stage), {Plugged: nothing}),
        (Stage.AGREED, Plugged): _plugged,
        **rows((Stage.AGREED, Stage.STARTING), {Confirm: _confirmed}),
        (Stage.STARTING, Start): _start,
        (Stage.OPENING, LedgerFailed): _opening_unwritten,
        **rows(PATH_OPEN, {Start: nothing, Confirm: nothing}),
        **rows((Stage.STARTING, Stage.PREPARING, *METERED), {Interval: _interval}),
        **rows(METERED, {Reading: _read}),
        **rows(RUNNING, {Dispute: _peer_disputes, Void: _void_late}),
        **rows(POWERED, {Close: _closes_running, LedgerFailed: _unwritten}),
        (Stage.STOPPING, Close): _closes_stopping,
        **rows((Stage.STOPPING, Stage.UNANSWERED), {LedgerFailed: _unwritten}),
        **rows((Stage.SETTLING, Stage.CLOSING), {LedgerFailed: _unwritten_settling}),
        **rows((Stage.SETTLING, *WRITTEN), {Close: _answer_close}),
        (Stage.FINISHED, Close): _closes_again,
        **rows((Stage.VOIDING, Stage.FINISHED), {Interval: nothing}),
        **rows(WRITTEN, {Closed: _closed}),
        (Stage.FINISHED, Closed): nothing,
        **rows(WATCHED, {Status: _status}),
        **rows((*WRITTEN, Stage.VOIDING, Stage.FINISHED), {Status: nothing}),
    }
