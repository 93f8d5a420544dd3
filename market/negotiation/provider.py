"""The provider's side of one request: decision, offer, counters, and one answer to each Accept.

An offer promises its price and locks nothing; the newest is the only live one. Energy, connector and window are
locked by the driver in the same commit as the Confirm, so a decision leaves the machine (`Decide`) and comes back
whole (`Decided`). After `Confirmed` the session belongs to the delivery, a Void too.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import ClassVar

from market.errors import Reason, StepRefused
from market.machine import (
    Append,
    LedgerFailed,
    LinkLost,
    LinkResumed,
    Machine,
    Received,
    Recorded,
    Refused,
    Repeat,
    Sign,
    Step,
    Table,
    Tell,
    nothing,
    rows,
)
from market.negotiation.steps import Ask, Confirmed, Decide, Decided, Decision, Ended, ProviderEffect, Withdrawal
from market.terms import MAX_COUNTERS, Accept, Confirm, Counter, Decline, Offer, Reject, Request, Void

MAX_ACCEPTS = MAX_COUNTERS + 1
"""Accepts answered in one request: one for each offer that it can have. More would let a peer fill our chain."""

Effects = Sequence[ProviderEffect]


class ProviderStage(Enum):
    """Where the provider stands in one request."""

    ASKED = auto()
    OFFERED = auto()
    COUNTERED = auto()
    """The policy is asked about a counter; the offer before it still lives."""
    DECIDING = auto()
    """The driver commits Confirm or Reject."""
    WITHDRAWING = auto()
    """Given up by one side while the driver was deciding."""
    CONFIRMED = auto()
    CLOSED = auto()
    """No offer lives: declined, withdrawn, expired or rejected. A late Accept still gets its Reject."""


class ProviderTimer(Enum):
    TTL = 1


class ProviderNegotiation(Machine[ProviderStage, ProviderEffect]):
    """One request of one peer.

    request: as verified; peer: its signer's key; now_ms: monotonic. The driver has asked its policy and gives the
    first Decision next.
    """

    def __init__(self, request: Request, peer: bytes, *, now_ms: int) -> None:
        super().__init__(ProviderStage.ASKED, now_ms)
        self._request = request
        self._peer = peer
        self._live: Offer | None = None
        self._live_digest = b""
        self._older: set[bytes] = set()
        self._decline: Decline | None = None
        self._expires_ms = 0
        self._counters = 0
        self._counter_digest = b""
        self._accepted = b""
        self._answered: set[bytes] = set()
        self._ended_by = Reason.WITHDRAWN
        self._ours = False

    # decisions

    def _decide_first(self, event: Decision) -> Effects:
        if isinstance(event.answer, Decline):
            self._decline = event.answer
            self._enter(ProviderStage.CLOSED)
            return (Tell(event.answer), Ended(event.answer.reason))
        return self._offer(event.answer)

    def _decide_counter(self, event: Decision) -> Effects:
        if isinstance(event.answer, Decline):
            self._decline = event.answer
            self._enter(ProviderStage.OFFERED)  # the offer before it is still promised
            return (Tell(event.answer),)
        return self._offer(event.answer)

    def _offer(self, offer: Offer) -> Effects:
        if offer.number != self._counters or offer.request_id != self._request.request_id:
            raise StepRefused(f"offer {offer.number} does not answer what was asked")
        if self._live_digest:
            self._older.add(self._live_digest)
        self._live, self._live_digest, self._decline = offer, b"", None
        self._expires_ms = self._now + offer.ttl_ms
        self._enter(ProviderStage.OFFERED)
        self._wake(ProviderTimer.TTL, self._expires_ms)
        return (Sign(offer),)

    def _recorded(self, event: Recorded) -> Effects:
        if event.message == self._live:
            self._live_digest = event.digest
        return ()

    # counters

    def _counter(self, event: Received[Counter]) -> Effects:
        counter = event.message
        if event.digest == self._counter_digest:
            return self._answer_again(event.digest) if self.state is ProviderStage.OFFERED else ()
        if counter.number <= self._counters:
            return (Refused(counter),)
        self._counters = counter.number
        self._counter_digest = event.digest
        self._enter(ProviderStage.COUNTERED)
        return (Ask(counter),)

    def _request_again(self, event: Received[Request]) -> Effects:
        return (Repeat(event.digest),)

    def _request_late(self, event: Received[Request]) -> Effects:
        return self._answer_again(event.digest)

    def _answer_again(self, digest: bytes) -> Effects:
        """A decline is signed and stored by nobody, so it is told again."""
        return (Repeat(digest),) if self._decline is None else (Tell(self._decline),)

    # accepts

    def _accept(self, event: Received[Accept]) -> Effects:
        if self._is_answered(event):
            return (Repeat(event.digest),)
        reason = self._fault_of(event)
        if reason is not None or self._live is None:
            return self._reject(event, reason or Reason.REQUEST_UNKNOWN)
        self._accepted = event.digest
        self._answered.add(event.digest)
        self._enter(ProviderStage.DECIDING)
        return (Decide(self._live, event.digest),)

    def _accept_late(self, event: Received[Accept]) -> Effects:
        if self._is_answered(event):
            return (Repeat(event.digest),)
        known = event.answers == self._live_digest or event.answers in self._older
        return self._reject(event, Reason.OFFER_EXPIRED if known else Reason.REQUEST_UNKNOWN)

    def _accept_again(self, event: Received[Accept]) -> Effects:
        """While one is being decided, or after it was confirmed, there is no second agreement in a request."""
        if event.digest == self._accepted:
            return (Repeat(event.digest),) if self.state is ProviderStage.CONFIRMED else ()
        if self._is_answered(event):
            return (Repeat(event.digest),)
        return self._reject(event, Reason.OFFER_SUPERSEDED)

    def _is_answered(self, event: Received[Accept]) -> bool:
        return event.digest in self._answered

    def _fault_of(self, event: Received[Accept]) -> Reason | None:
        if event.answers in self._older:
            return Reason.OFFER_SUPERSEDED
        if self._live is None or not self._live_digest or event.answers != self._live_digest:
            return Reason.REQUEST_UNKNOWN
        if event.message.currency != self._live.currency:  # the books count what is owed in the Accept's
            return Reason.CURRENCY_MISMATCH
        return Reason.OFFER_EXPIRED if self._now >= self._expires_ms else None

    def _reject(self, event: Received[Accept], reason: Reason) -> Effects:
        if len(self._answered) >= MAX_ACCEPTS:
            return (Refused(event.message, Reason.BUSY),)
        self._answered.add(event.digest)
        return (Append(Reject(peer=self._peer, at_s=0, reason=reason), event.digest),)

    def _decided(self, event: Decided) -> Effects:
        if isinstance(event.answer, Reject):
            self._enter(ProviderStage.CLOSED)
            return (Ended(event.answer.reason),)
        if self._live is None:
            raise StepRefused("nothing was offered that could be confirmed")
        self._enter(ProviderStage.CONFIRMED)
        return (Confirmed(self._live, self._accepted, event.digest),)

    def _decided_too_late(self, event: Decided) -> Effects:
        self._enter(ProviderStage.CLOSED)
        if self._ours and isinstance(event.answer, Confirm):
            void = Void(peer=self._peer, at_s=0, reason=self._ended_by)
            return (Append(void, self._accepted), Ended(self._ended_by))
        return (Ended(self._ended_by),)

    def _undecided(self, _: LedgerFailed) -> Effects:
        """Nothing was promised and nothing said: a repeated Accept is decided afresh."""
        self._answered.discard(self._accepted)
        self._enter(ProviderStage.OFFERED)
        if self._now < self._expires_ms:
            self._wake(ProviderTimer.TTL, self._expires_ms)
            return ()
        return self._lapse()

    def _undecided_too_late(self, _: LedgerFailed) -> Effects:
        self._answered.discard(self._accepted)
        self._enter(ProviderStage.CLOSED)
        return (Ended(self._ended_by),)

    # ends

    def _lapse(self) -> Effects:
        self._enter(ProviderStage.CLOSED)
        return (Ended(Reason.OFFER_EXPIRED),)

    def _withdraw(self, event: Withdrawal) -> Effects:
        self._enter(ProviderStage.CLOSED)
        self._decline = Decline(request_id=self._request.request_id, reason=event.reason.for_peer)
        return (Tell(self._decline), Ended(event.reason))

    def _withdraw_deciding(self, event: Withdrawal) -> Effects:
        self._ended_by, self._ours = event.reason.for_peer, True
        self._enter(ProviderStage.WITHDRAWING)
        return ()

    def _peer_ends(self, event: "Received[Void] | Received[Decline]") -> Effects:
        self._enter(ProviderStage.CLOSED)
        return (Ended(event.message.reason),)

    def _peer_ends_deciding(self, event: Received[Void]) -> Effects:
        self._ended_by, self._ours = event.message.reason, False
        self._enter(ProviderStage.WITHDRAWING)
        return ()

    ALWAYS: ClassVar[Mapping[type, Step]] = {Recorded: _recorded, LinkLost: nothing, LinkResumed: nothing}
    RUNS_IN: ClassVar = {ProviderTimer.TTL: frozenset({ProviderStage.OFFERED, ProviderStage.COUNTERED})}
    TIMEOUTS: ClassVar = {ProviderTimer.TTL: _lapse}
    STEPS: ClassVar[Table] = {
        (ProviderStage.ASKED, Decision): _decide_first,
        (ProviderStage.ASKED, Withdrawal): _withdraw,
        (ProviderStage.ASKED, Request): nothing,
        (ProviderStage.ASKED, Decline): _peer_ends,
        **rows(
            (ProviderStage.OFFERED, ProviderStage.COUNTERED),
            {
                Request: _request_again,
                Counter: _counter,
                Accept: _accept,
                Withdrawal: _withdraw,
                Decline: _peer_ends,
                Void: _peer_ends,
            },
        ),
        (ProviderStage.COUNTERED, Decision): _decide_counter,
        (ProviderStage.DECIDING, Decision): nothing,
        (ProviderStage.DECIDING, Decided): _decided,
        (ProviderStage.DECIDING, LedgerFailed): _undecided,
        (ProviderStage.DECIDING, Accept): _accept_again,
        (ProviderStage.DECIDING, Void): _peer_ends_deciding,
        (ProviderStage.DECIDING, Withdrawal): _withdraw_deciding,
        (ProviderStage.WITHDRAWING, Decided): _decided_too_late,
        (ProviderStage.WITHDRAWING, LedgerFailed): _undecided_too_late,
        (ProviderStage.WITHDRAWING, Accept): _accept_again,
        (ProviderStage.WITHDRAWING, Decision): nothing,
        (ProviderStage.WITHDRAWING, Void): nothing,
        (ProviderStage.WITHDRAWING, Withdrawal): nothing,
        (ProviderStage.CONFIRMED, Accept): _accept_again,
        (ProviderStage.CONFIRMED, Decision): nothing,
        (ProviderStage.CLOSED, Accept): _accept_late,
        (ProviderStage.CLOSED, Request): _request_late,
        (ProviderStage.CLOSED, Decision): nothing,
        (ProviderStage.CLOSED, Void): nothing,
        (ProviderStage.CLOSED, Decline): nothing,
        (ProviderStage.CLOSED, Withdrawal): nothing,
    }
