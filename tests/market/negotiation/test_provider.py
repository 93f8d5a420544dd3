from typing import Any

import pytest

from market.errors import Reason, StepRefused
from market.machine import Append, LedgerFailed, LinkLost, Received, Recorded, Refused, Repeat, Sign, Tell, Tick
from market.negotiation import (
    Ask,
    Confirmed,
    Decide,
    Decided,
    Decision,
    Ended,
    ProviderNegotiation,
    ProviderStage,
    Withdrawal,
)
from market.terms import Accept, Confirm, Counter, Decline, Offer, Reject, Void
from tests.support.market_terms import CLIENT, PROVIDER, REQUEST_ID, digest, offer, request

TTL_MS = 60_000
CONFIRM = Confirm(CLIENT, 0)


class Selling:
    """One request at a provider, whose driver records what it signs."""

    def __init__(self) -> None:
        self.machine = ProviderNegotiation(request(), CLIENT, now_ms=0)
        self.now_ms = 0

    def give(self, event: object, *, wait_ms: int = 0) -> list[Any]:
        self.now_ms += wait_ms
        return list(self.machine.handle(event, self.now_ms))

    def offer(self, number: int = 0, **changes: Any) -> Offer:
        made = offer(number=number, ttl_ms=TTL_MS, **changes)
        assert self.give(Decision(made)) == [Sign(made)]
        self.give(Recorded(made, digest(f"offer{number}")))
        return made

    def counter(self, number: int) -> list[Any]:
        return self.give(Received(Counter(REQUEST_ID, number, 200_000, 5_000), digest(f"counter{number}")))

    def accept(self, of: str, name: str = "accept") -> list[Any]:
        return self.give(Received(Accept(PROVIDER, 0), digest(name), digest(of)))


def at(stage: ProviderStage) -> Selling:
    selling = Selling()
    if stage is ProviderStage.ASKED:
        return selling
    selling.offer()
    if stage is ProviderStage.COUNTERED:
        selling.counter(1)
    if stage in (ProviderStage.DECIDING, ProviderStage.WITHDRAWING, ProviderStage.CONFIRMED):
        selling.accept("offer0")
    if stage is ProviderStage.WITHDRAWING:
        selling.give(Withdrawal())
    if stage is ProviderStage.CONFIRMED:
        selling.give(Decided(CONFIRM, digest("confirm")))
    if stage is ProviderStage.CLOSED:
        selling.give(Withdrawal())
    return selling


EVENTS: list[object] = [
    Decision(offer(number=0)),
    Decided(CONFIRM, digest("confirm")),
    Withdrawal(),
    LedgerFailed(),
    LinkLost(),
    Recorded(offer(), digest("x")),
    Received(request(), digest("request")),
    Received(Counter(REQUEST_ID, 2, 200_000, 5_000), digest("counter2")),
    Received(Accept(PROVIDER, 0), digest("other"), digest("offer0")),
    Received(Void(PROVIDER, 0, Reason.WITHDRAWN), digest("void")),
    Received(Decline(REQUEST_ID, Reason.WITHDRAWN)),
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("stage", ProviderStage)
def test_what_the_table_lacks_changes_nothing(stage: ProviderStage, event: object) -> None:
    selling = at(stage)
    assert selling.machine.state is stage
    kind = type(event.message) if isinstance(event, Received) else type(event)
    if (stage, kind) in ProviderNegotiation.STEPS or kind in ProviderNegotiation.ALWAYS:
        if stage is not ProviderStage.COUNTERED or not isinstance(event, Decision):
            assert Refused not in [type(each) for each in selling.give(event)]
        return
    before = {**vars(selling.machine), "_answered": set(selling.machine._answered)}
    if isinstance(event, Received):
        assert selling.machine.handle(event, 999) == (Refused(event.message),)
    else:
        with pytest.raises(StepRefused):
            selling.machine.handle(event, 999)
    assert vars(selling.machine) == before


def test_an_accept_of_the_live_offer_is_decided_and_confirmed_once() -> None:
    selling = Selling()
    made = selling.offer()
    assert selling.accept("offer0") == [Decide(made, digest("accept"))]
    assert selling.accept("offer0") == []  # repeated while it is decided
    assert selling.give(Decided(CONFIRM, digest("confirm"))) == [
        Confirmed(made, digest("accept"), digest("confirm")),
    ]
    assert selling.accept("offer0") == [Repeat(digest("accept"))]


@pytest.mark.parametrize("stage", [ProviderStage.DECIDING, ProviderStage.CONFIRMED])
def test_a_second_accept_is_rejected(stage: ProviderStage) -> None:
    effects = at(stage).accept("offer0", "second")
    assert effects == [Append(Reject(CLIENT, 0, Reason.OFFER_SUPERSEDED), digest("second"))]


def test_an_accept_in_another_currency_is_rejected_and_the_offer_stays() -> None:
    selling = Selling()
    made = selling.offer()
    other = Received(Accept(PROVIDER, 0, "XTS"), digest("cheap"), digest("offer0"))
    assert selling.give(other) == [Append(Reject(CLIENT, 0, Reason.CURRENCY_MISMATCH), digest("cheap"))]
    assert selling.give(other) == [Repeat(digest("cheap"))]
    assert selling.accept("offer0") == [Decide(made, digest("accept"))]


def test_a_rejected_accept_ends_it_and_its_reject_is_repeated() -> None:
    selling = at(ProviderStage.DECIDING)
    assert selling.give(Decided(Reject(CLIENT, 0, Reason.BUSY), digest("reject"))) == [Ended(Reason.BUSY)]
    assert selling.accept("offer0") == [Repeat(digest("accept"))]


def test_an_offer_lives_for_its_ttl() -> None:
    selling = Selling()
    selling.offer()
    selling.now_ms = TTL_MS - 1
    assert [type(each) for each in selling.accept("offer0")] == [Decide]
    late = Selling()
    late.offer()
    late.now_ms = TTL_MS
    expired = [Append(Reject(CLIENT, 0, Reason.OFFER_EXPIRED), digest("accept"))]
    assert late.accept("offer0") == expired
    assert late.give(Tick()) == [Ended(Reason.OFFER_EXPIRED)]
    assert late.accept("offer0") == [Repeat(digest("accept"))]
    assert late.accept("offer0", "again") == [Append(Reject(CLIENT, 0, Reason.OFFER_EXPIRED), digest("again"))]


def test_a_newer_offer_voids_the_older() -> None:
    selling = Selling()
    selling.offer()
    assert selling.counter(1) == [Ask(Counter(REQUEST_ID, 1, 200_000, 5_000))]
    newer = selling.offer(1)
    assert selling.accept("offer0", "old") == [Append(Reject(CLIENT, 0, Reason.OFFER_SUPERSEDED), digest("old"))]
    assert selling.accept("offer1", "new") == [Decide(newer, digest("new"))]


def test_an_offer_still_lives_while_a_counter_is_asked_about() -> None:
    selling = at(ProviderStage.COUNTERED)
    assert [type(each) for each in selling.accept("offer0")] == [Decide]
    assert selling.give(Decision(offer(number=1))) == []


def test_a_declined_counter_leaves_the_offer_and_is_told_again() -> None:
    selling = at(ProviderStage.COUNTERED)
    no = Decline(REQUEST_ID, Reason.PRICE_TOO_LOW)
    assert selling.give(Decision(no)) == [Tell(no)]
    assert selling.counter(1) == [Tell(no)]
    assert [type(each) for each in selling.accept("offer0")] == [Decide]


def test_counters_rise_and_a_repeated_one_gets_the_stored_offer() -> None:
    selling = Selling()
    selling.offer()
    selling.counter(2)
    assert selling.counter(2) == []
    selling.offer(2)
    assert selling.counter(2) == [Repeat(digest("counter2"))]
    older = Counter(REQUEST_ID, 1, 200_000, 5_000)
    assert selling.give(Received(older, digest("older"))) == [Refused(older)]


def test_an_offer_has_to_answer_what_was_asked() -> None:
    selling = at(ProviderStage.COUNTERED)
    with pytest.raises(StepRefused):
        selling.give(Decision(offer(number=0)))
    assert selling.machine.state is ProviderStage.COUNTERED


def test_an_accept_of_something_never_offered_is_rejected_but_not_without_end() -> None:
    selling = Selling()
    selling.offer()
    effects = [selling.accept("nothing", f"accept{number}")[0] for number in range(6)]
    assert effects[0] == Append(Reject(CLIENT, 0, Reason.REQUEST_UNKNOWN), digest("accept0"))
    assert [type(each) for each in effects] == [Append] * 4 + [Refused] * 2


def test_a_decline_ends_it_and_a_repeated_request_hears_it_again() -> None:
    selling = Selling()
    no = Decline(REQUEST_ID, Reason.NOT_OFFERED)
    assert selling.give(Decision(no)) == [Tell(no), Ended(Reason.NOT_OFFERED)]
    assert selling.give(Received(request(), digest("request"))) == [Tell(no)]


def test_a_repeated_request_gets_the_stored_offer() -> None:
    assert at(ProviderStage.OFFERED).give(Received(request(), digest("request"))) == [Repeat(digest("request"))]


def test_the_owner_takes_an_offer_back_in_neutral_words() -> None:
    selling = at(ProviderStage.OFFERED)
    assert selling.give(Withdrawal(Reason.RESERVE)) == [
        Tell(Decline(REQUEST_ID, Reason.ENERGY_UNAVAILABLE)),
        Ended(Reason.RESERVE),
    ]
    assert [type(each) for each in selling.accept("offer0")] == [Append]


def test_a_withdrawal_while_deciding_voids_what_was_confirmed() -> None:
    selling = at(ProviderStage.WITHDRAWING)
    assert selling.give(Decided(CONFIRM, digest("confirm"))) == [
        Append(Void(CLIENT, 0, Reason.WITHDRAWN), digest("accept")),
        Ended(Reason.WITHDRAWN),
    ]


def test_a_clients_void_while_deciding_frees_what_was_locked() -> None:
    selling = at(ProviderStage.DECIDING)
    assert selling.give(Received(Void(PROVIDER, 0, Reason.SILENCE), digest("void"))) == []
    assert selling.give(Decided(CONFIRM, digest("confirm"))) == [Ended(Reason.SILENCE)]


def test_a_void_before_its_accept_still_leaves_the_accept_a_reject() -> None:
    selling = at(ProviderStage.OFFERED)
    assert selling.give(Received(Void(PROVIDER, 0, Reason.WITHDRAWN), digest("void"))) == [Ended(Reason.WITHDRAWN)]
    assert [type(each.message) for each in selling.accept("offer0")] == [Reject]


def test_a_decision_that_could_not_be_written_is_taken_again() -> None:
    selling = at(ProviderStage.DECIDING)
    assert selling.give(LedgerFailed()) == []
    assert [type(each) for each in selling.accept("offer0")] == [Decide]
    late = at(ProviderStage.DECIDING)
    late.now_ms = TTL_MS
    assert late.give(LedgerFailed()) == [Ended(Reason.OFFER_EXPIRED)]
    gone = at(ProviderStage.WITHDRAWING)
    assert gone.give(LedgerFailed()) == [Ended(Reason.WITHDRAWN)]
