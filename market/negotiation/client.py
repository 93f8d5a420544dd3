"""The client's side of one need: one request to each of several providers, and at most one agreement.

Offers are collected until every provider has answered or the time is up; the best is accepted. Exactly one Confirm
or Reject answers an Accept, so an unanswered one is never dropped in silence: it is waited for, and after
`answer_ms` voided, before the next-best offer may be accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

from market.errors import Reason, Refusal, StepRefused
from market.machine import (
    Append,
    LedgerFailed,
    LinkLost,
    Machine,
    Received,
    Recorded,
    Refused,
    Sign,
    Step,
    Table,
    nothing,
    rows,
)
from market.negotiation.steps import Agreed, ClientEffect, GaveUp, Haggle, InSession, Rank, Withdrawal
from market.terms import MAX_COUNTERS, Accept, Confirm, Decline, Offer, Reject, Request, Void

COLLECT_MS = 5_000
"""How long offers are awaited: the slowest bearer's round trip with retransmissions."""
ANSWER_MS = 30_000
"""How long a Confirm is awaited before the Accept is voided: a redial on the slowest bearer fits in."""
MAX_PROVIDERS = 32
"""Requests of one need: more than a car park answers."""

Effects = Sequence[ClientEffect]


class ClientStage(Enum):
    """Where the client stands with its need."""

    COLLECTING = auto()
    ACCEPTING = auto()
    """An Accept is appended, its answer awaited."""
    VOIDING = auto()
    """Its Void is being appended: nothing else is accepted, and nothing ends, before that is written."""
    AGREED = auto()
    ENDED = auto()


class ClientTimer(Enum):
    COLLECT = 1
    ANSWER = 2


@dataclass(slots=True)
class _Session:
    """What is held of one provider."""

    provider: bytes
    offer: Offer | None = None
    digest: bytes = b""
    expires_ms: int = 0
    counters: int = 0
    awaits: bool = True
    """An offer or a decline is still to come."""
    refusal: Refusal | None = None

    def refuse(self, refusal: Refusal) -> None:
        self.offer, self.awaits, self.refusal = None, False, refusal


class ClientNegotiation(Machine[ClientStage, ClientEffect]):
    """One need, asked of 1 to `MAX_PROVIDERS` providers; the driver sends the requests as it makes this.

    rank orders the offers held; haggle, asked about each new offer, may counter it (at most 3 times a request).
    Raises ValueError for no, too many or equal request ids.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        rank: Rank,
        *,
        now_ms: int,
        haggle: Haggle | None = None,
        collect_ms: int = COLLECT_MS,
        answer_ms: int = ANSWER_MS,
    ) -> None:
        super().__init__(ClientStage.COLLECTING, now_ms)
        self._sessions = {each.request_id: _Session(each.provider) for each in requests}
        if not 1 <= len(requests) == len(self._sessions) <= MAX_PROVIDERS:
            raise ValueError(f"a need has 1 to {MAX_PROVIDERS} requests with different ids")
        self._rank = rank
        self._haggle = haggle
        self._answer_ms = answer_ms
        self._accepted = b""
        self._withdrawn = False
        self._wake(ClientTimer.COLLECT, now_ms + collect_ms)

    # one session's steps: asked for in a table of their own, by (stage, kind of step)

    def _in_session(self, event: InSession) -> Effects:
        session = self._sessions.get(event.request_id)
        if session is None:
            raise StepRefused("no such request belongs to this need")
        inner = event.step
        kind = type(inner.message) if isinstance(inner, Received) else type(inner)
        step = self.SESSION_STEPS.get((self._state, kind))
        if step is not None:
            return tuple(step(self, event.request_id, session, inner))
        if isinstance(inner, Received):
            return (InSession(event.request_id, Refused(inner.message)),)
        raise StepRefused(f"{kind.__name__} is no step of a session while {self._state.name}")

    def _offer(self, request_id: bytes, session: _Session, event: Received[Offer]) -> Effects:
        if not self._keep(session, event):
            return ()
        counter = self._haggle_about(session, event.message)
        if counter is not None:
            return (InSession(request_id, Sign(counter)),)
        session.awaits = False
        return self._choose_when_answered()

    def _offer_late(self, _: bytes, session: _Session, event: Received[Offer]) -> Effects:
        if self._keep(session, event):
            session.awaits = False
        return ()

    def _keep(self, session: _Session, event: Received[Offer]) -> bool:
        """Take an offer that is newer than what is held; a session that was refused stays so."""
        older = session.offer is not None and event.message.number <= session.offer.number
        if older or session.refusal is not None or event.message.number > session.counters:
            return False
        session.offer, session.digest = event.message, event.digest
        session.expires_ms = self._now + event.message.ttl_ms
        return True

    def _haggle_about(self, session: _Session, offer: Offer) -> Any:
        if self._haggle is None or session.counters >= MAX_COUNTERS:
            return None
        counter = self._haggle(offer, session.counters + 1)
        if counter is not None:
            session.counters = counter.number
            session.awaits = True
        return counter

    def _decline(self, _: bytes, session: _Session, event: Received[Decline]) -> Effects:
        if session.counters and session.offer is not None and session.awaits:
            session.awaits = False  # a counter was declined: the offer before it still stands
        else:
            session.refuse(Refusal(event.message.reason, event.message.would_pass))
        return self._choose_when_answered()

    def _decline_late(self, request_id: bytes, session: _Session, event: Received[Decline]) -> Effects:
        if request_id != self._accepted:  # an Accept is answered by an entry, not by this
            session.refuse(Refusal(event.message.reason, event.message.would_pass))
        return ()

    def _lost(self, _: bytes, session: _Session, __: LinkLost) -> Effects:
        session.refuse(Refusal(Reason.SILENCE))
        return self._choose_when_answered()

    def _lost_late(self, request_id: bytes, session: _Session, _: LinkLost) -> Effects:
        if request_id != self._accepted:  # the accepted one may have been confirmed: its answer is awaited
            session.refuse(Refusal(Reason.SILENCE))
        return ()

    def _confirm(self, request_id: bytes, session: _Session, event: Received[Confirm]) -> Effects:
        if request_id != self._accepted or session.offer is None:
            return ()  # of an Accept that we have voided already: the Void is on its way
        self._enter(ClientStage.AGREED)
        return (Agreed(request_id, session.offer, session.digest, event.digest),)

    def _reject(self, request_id: bytes, session: _Session, event: Received[Reject]) -> Effects:
        if request_id != self._accepted:
            return ()
        passing = event.message.acceptable
        would_pass = Decline(request_id, event.message.reason, passing).would_pass
        session.refuse(Refusal(event.message.reason, would_pass))
        return self._choose()

    def _provider_voids(self, request_id: bytes, session: _Session, event: Received[Void]) -> Effects:
        """Its Void overtook its Confirm."""
        if request_id != self._accepted:
            return ()
        session.refuse(Refusal(event.message.reason))
        return self._choose()

    # choosing

    def _choose_when_answered(self) -> Effects:
        return () if any(each.awaits for each in self._sessions.values()) else self._choose()

    def _choose(self) -> Effects:
        self._accepted = b""
        for session in self._sessions.values():
            if session.offer is not None and self._now >= session.expires_ms:
                session.refuse(Refusal(Reason.OFFER_EXPIRED))
        held = [(key, each.offer) for key, each in self._sessions.items() if each.offer is not None]
        ranked = list(self._rank(held)) if held else []
        return self._take(ranked[0]) if ranked else self._give_up()

    def _take(self, request_id: bytes) -> Effects:
        session = self._sessions[request_id]
        if session.offer is None:
            raise StepRefused("the ranker named an offer that is not held")
        self._accepted = request_id
        self._enter(ClientStage.ACCEPTING)
        self._wake(ClientTimer.ANSWER, self._now + self._answer_ms)
        accept = Accept(peer=session.provider, at_s=0, currency=session.offer.currency)
        return (InSession(request_id, Append(accept, session.digest)),)

    def _give_up(self) -> Effects:
        self._enter(ClientStage.ENDED)
        silent = Refusal(Reason.SILENCE)
        refusals = ((key, silent if each.awaits else each.refusal) for key, each in self._sessions.items())
        return (GaveUp(tuple((key, refusal) for key, refusal in refusals if refusal is not None)),)

    def _void(self, reason: Reason) -> Effects:
        request_id, session = self._accepted, self._sessions[self._accepted]
        void = Void(peer=session.provider, at_s=0, reason=reason)
        effect = InSession(request_id, Append(void, session.digest))
        session.refuse(Refusal(reason))
        self._enter(ClientStage.VOIDING)
        return (effect,)

    def _voided(self, _: bytes, __: _Session, event: Recorded) -> Effects:
        if not isinstance(event.message, Void):
            return ()
        return self._give_up() if self._withdrawn else self._choose()

    def _unanswered(self) -> Effects:
        return self._void(Reason.SILENCE)

    def _withdraw(self, _: Withdrawal) -> Effects:
        return self._give_up()

    def _withdraw_accepting(self, event: Withdrawal) -> Effects:
        self._withdrawn = True
        return self._void(event.reason)

    def _withdraw_voiding(self, _: Withdrawal) -> Effects:
        self._withdrawn = True
        return ()

    def _unrecorded(self, _: LedgerFailed) -> Effects:
        """The Accept was sent to nobody, so there is nothing to void; and nothing can be accepted now."""
        self._sessions[self._accepted].refuse(Refusal(Reason.LEDGER_FAULT))
        return self._give_up()

    def _unvoided(self, _: LedgerFailed) -> Effects:
        """Nothing else may be accepted beside an Accept that is neither answered nor void in writing."""
        return self._give_up()

    ALWAYS: ClassVar[Mapping[type, Step]] = {}
    RUNS_IN: ClassVar = {
        ClientTimer.COLLECT: frozenset({ClientStage.COLLECTING}),
        ClientTimer.ANSWER: frozenset({ClientStage.ACCEPTING}),
    }
    TIMEOUTS: ClassVar = {ClientTimer.COLLECT: _choose, ClientTimer.ANSWER: _unanswered}
    STEPS: ClassVar[Table] = {
        **rows(tuple(ClientStage), {InSession: _in_session}),
        (ClientStage.COLLECTING, Withdrawal): _withdraw,
        (ClientStage.ACCEPTING, Withdrawal): _withdraw_accepting,
        (ClientStage.ACCEPTING, LedgerFailed): _unrecorded,
        (ClientStage.VOIDING, Withdrawal): _withdraw_voiding,
        (ClientStage.VOIDING, LedgerFailed): _unvoided,
        (ClientStage.AGREED, LedgerFailed): nothing,
        (ClientStage.ENDED, LedgerFailed): nothing,
        (ClientStage.ENDED, Withdrawal): nothing,
    }
    SESSION_STEPS: ClassVar[Mapping[tuple[ClientStage, type], Any]] = {
        **{(stage, Recorded): lambda *_: () for stage in ClientStage},
        (ClientStage.VOIDING, Recorded): _voided,
        (ClientStage.COLLECTING, Offer): _offer,
        (ClientStage.COLLECTING, Decline): _decline,
        (ClientStage.COLLECTING, LinkLost): _lost,
        (ClientStage.ACCEPTING, Offer): _offer_late,
        (ClientStage.ACCEPTING, Decline): _decline_late,
        (ClientStage.ACCEPTING, LinkLost): _lost_late,
        (ClientStage.ACCEPTING, Confirm): _confirm,
        (ClientStage.ACCEPTING, Reject): _reject,
        (ClientStage.ACCEPTING, Void): _provider_voids,
        (ClientStage.VOIDING, Offer): _offer_late,
        (ClientStage.VOIDING, Decline): _decline_late,
        (ClientStage.VOIDING, LinkLost): _lost_late,
        **{(ClientStage.VOIDING, kind): lambda *_: () for kind in (Confirm, Reject, Void)},
        **{
            (stage, kind): lambda *_: ()  # crossed or late: what it answers is decided
            for stage in (ClientStage.AGREED, ClientStage.ENDED)
            for kind in (Offer, Decline, Confirm, Reject, Void, LinkLost)
        },
    }
