from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import Quantity, Reason, Refusal, StepRefused, WouldPass
from market.machine import Append, LedgerFailed, LinkLost, Received, Recorded, Refused, Sign, Tick
from market.negotiation import Agreed, ClientNegotiation, ClientStage, GaveUp, InSession, Withdrawal
from market.terms import Accept, Confirm, Counter, Decline, Limit, Offer, PriceStep, Receipt, Reject, Void
from tests.support.market_terms import PROVIDER, digest, offer, request

IDS = [bytes([number]) * 16 for number in range(1, 4)]
A, B, C = IDS


def key_of(request_id: bytes) -> bytes:
    return request_id * 2


def cheapest(held: Sequence[tuple[bytes, Offer]]) -> list[bytes]:
    return [key for key, each in sorted(held, key=lambda pair: pair[1].price_steps[0].price_micro_per_kwh)]


class Buying:
    """One need asked of several providers."""

    def __init__(self, ids: Sequence[bytes] = IDS, rank: Any = cheapest, **how: Any) -> None:
        requests = [request(request_id=each, provider=key_of(each)) for each in ids]
        self.machine = ClientNegotiation(requests, rank, now_ms=0, **how)
        self.now_ms = 0

    def give(self, event: object, *, wait_ms: int = 0) -> list[Any]:
        self.now_ms += wait_ms
        return list(self.machine.handle(event, self.now_ms))

    def hear(self, request_id: bytes, message: Any, name: str = "") -> list[Any]:
        return self.give(InSession(request_id, Received(message, digest(name) if name else b"")))

    def offered(self, request_id: bytes, price: int, *, number: int = 0, ttl_ms: int = 60_000) -> list[Any]:
        made = priced(request_id, price, number=number, ttl_ms=ttl_ms)
        return self.hear(request_id, made, f"offer{price}")


def priced(request_id: bytes, price: int, **changes: Any) -> Offer:
    return offer(request_id=request_id, price_steps=(PriceStep(0, price),), **changes)


def accept_of(request_id: bytes, price: int) -> InSession:
    return InSession(request_id, Append(Accept(key_of(request_id), 0), digest(f"offer{price}")))


def void_of(request_id: bytes, price: int, reason: Reason) -> InSession:
    return InSession(request_id, Append(Void(key_of(request_id), 0, reason), digest(f"offer{price}")))


def voided(buying: Buying, void: InSession) -> list[Any]:
    """Its Void is durable."""
    assert isinstance(void.step, Append)
    return buying.give(InSession(void.request_id, Recorded(void.step.message, digest("void"))))


def reject(reason: Reason = Reason.BUSY) -> Reject:
    return Reject(PROVIDER, 0, reason)


CONFIRM = Confirm(PROVIDER, 0)


def accepting() -> Buying:
    """B at 200 is accepted, A at 300 is next, C has declined."""
    buying = Buying()
    buying.offered(A, 300)
    buying.hear(C, Decline(C, Reason.NOT_OFFERED))
    assert buying.offered(B, 200) == [accept_of(B, 200)]
    return buying


def test_the_best_offer_is_accepted_once_all_have_answered() -> None:
    buying = accepting()
    assert buying.hear(B, CONFIRM, "confirm") == [
        Agreed(B, priced(B, 200, ttl_ms=60_000), digest("offer200"), digest("confirm")),
    ]
    assert buying.machine.state is ClientStage.AGREED
    assert buying.hear(B, CONFIRM, "confirm") == []


def test_a_provider_that_does_not_answer_is_waited_for_only_so_long() -> None:
    buying = Buying(collect_ms=2_000)
    buying.offered(A, 300)
    assert buying.give(Tick(), wait_ms=1_999) == []
    assert buying.give(Tick(), wait_ms=1) == [accept_of(A, 300)]


def test_a_reject_goes_on_to_the_next_best() -> None:
    buying = accepting()
    assert buying.hear(B, reject(), "reject") == [accept_of(A, 300)]
    busy = Refusal(Reason.BUSY)
    assert buying.hear(A, Reject(PROVIDER, 0, Reason.ENERGY_UNAVAILABLE, (Limit(Quantity.ENERGY_WH, 7),)), "r") == [
        GaveUp(
            (
                (A, Refusal(Reason.ENERGY_UNAVAILABLE, WouldPass(Quantity.ENERGY_WH, 7))),
                (B, busy),
                (C, Refusal(Reason.NOT_OFFERED)),
            )
        )
    ]


def test_an_unanswered_accept_is_voided_before_the_next_is_accepted() -> None:
    buying = accepting()
    buying.give(InSession(B, LinkLost()))
    assert buying.give(Tick(), wait_ms=29_999) == []
    void = void_of(B, 200, Reason.SILENCE)
    assert buying.give(Tick(), wait_ms=1) == [void]
    assert buying.hear(B, CONFIRM, "late") == []  # it is voided already
    assert voided(buying, void) == [accept_of(A, 300)]
    assert buying.machine.state is ClientStage.ACCEPTING
    assert buying.hear(B, reject(), "late") == []


def test_an_offer_that_expired_meanwhile_is_not_accepted() -> None:
    buying = Buying(ids=[A, B], answer_ms=30_000)
    buying.offered(A, 300, ttl_ms=30_000)
    buying.offered(B, 200)
    void = void_of(B, 200, Reason.SILENCE)
    assert buying.give(Tick(), wait_ms=30_000) == [void]
    assert voided(buying, void) == [GaveUp(((A, Refusal(Reason.OFFER_EXPIRED)), (B, Refusal(Reason.SILENCE))))]


def test_a_lost_link_takes_a_provider_out_unless_it_may_have_confirmed() -> None:
    buying = Buying(ids=[A, B])
    buying.offered(A, 300)
    assert buying.give(InSession(B, LinkLost())) == [accept_of(A, 300)]
    assert buying.give(InSession(A, LinkLost())) == []
    assert [type(each) for each in buying.hear(A, CONFIRM, "confirm")] == [Agreed]


def test_the_owner_withdraws_at_any_time() -> None:
    collecting = Buying(ids=[A])
    assert collecting.give(Withdrawal()) == [GaveUp(((A, Refusal(Reason.SILENCE)),))]
    buying = accepting()
    void = void_of(B, 200, Reason.WITHDRAWN)
    assert buying.give(Withdrawal(Reason.WITHDRAWN)) == [void]
    assert [type(each) for each in voided(buying, void)] == [GaveUp]
    assert buying.hear(B, CONFIRM, "late") == []


def test_a_withdrawal_while_a_void_is_written_ends_the_need_with_it() -> None:
    buying = accepting()
    [void] = buying.give(Tick(), wait_ms=30_000)
    assert buying.give(Withdrawal()) == []
    assert [type(each) for each in voided(buying, void)] == [GaveUp]


def test_where_a_void_can_not_be_written_nothing_else_is_accepted() -> None:
    """The Accept may be confirmed, and nothing in writing says that it is void: another would make two agreements."""
    buying = accepting()
    buying.give(Tick(), wait_ms=30_000)
    effects = buying.give(LedgerFailed())
    assert [type(each) for each in effects] == [GaveUp]
    assert (B, Refusal(Reason.SILENCE)) in effects[0].refusals
    assert buying.machine.state is ClientStage.ENDED


def test_a_void_that_overtook_its_confirm_is_a_no() -> None:
    buying = accepting()
    assert buying.hear(B, Void(PROVIDER, 0, Reason.WITHDRAWN), "void") == [accept_of(A, 300)]
    assert buying.hear(B, CONFIRM, "confirm") == []


def test_an_accept_that_could_not_be_written_needs_no_void() -> None:
    effects = accepting().give(LedgerFailed())
    assert [type(each) for each in effects] == [GaveUp]
    assert (B, Refusal(Reason.LEDGER_FAULT)) in effects[0].refusals


def haggle(held: Offer, number: int) -> Counter | None:
    price = held.price_steps[0].price_micro_per_kwh
    return Counter(held.request_id, number, price - 50, held.energy_wh) if price > 200 else None


def test_counters_are_made_and_answered_until_the_price_is_right() -> None:
    buying = Buying(ids=[A], haggle=haggle)
    assert buying.offered(A, 300) == [InSession(A, Sign(Counter(A, 1, 250, 10_000)))]
    assert buying.offered(A, 300) == []  # the old offer once more
    assert buying.offered(A, 250, number=1) == [InSession(A, Sign(Counter(A, 2, 200, 10_000)))]
    assert buying.offered(A, 200, number=2) == [accept_of(A, 200)]


def test_there_are_at_most_three_counters() -> None:
    buying = Buying(ids=[A], haggle=haggle)
    for number in range(3):
        assert [type(each.step) for each in buying.offered(A, 900 - number, number=number)] == [Sign]
    assert buying.offered(A, 800, number=3) == [accept_of(A, 800)]


def test_a_declined_counter_leaves_the_offer_before_it() -> None:
    buying = Buying(ids=[A], haggle=haggle)
    buying.offered(A, 300)
    assert buying.hear(A, Decline(A, Reason.PRICE_TOO_LOW)) == [accept_of(A, 300)]


def test_an_offer_to_a_counter_never_made_is_not_taken() -> None:
    buying = Buying(ids=[A])
    assert buying.offered(A, 100, number=1) == []
    assert buying.offered(A, 300) == [accept_of(A, 300)]


def test_a_late_offer_may_still_win_after_a_reject() -> None:
    buying = Buying(ids=[A, B], collect_ms=1_000)
    buying.offered(A, 300)
    buying.give(Tick(), wait_ms=1_000)
    assert buying.offered(B, 100) == []
    assert buying.hear(A, reject(), "reject") == [accept_of(B, 100)]


def test_what_the_ranker_leaves_out_is_not_accepted() -> None:
    buying = Buying(ids=[A], rank=lambda held: [])
    assert buying.offered(A, 300) == [GaveUp(())]
    wild = Buying(ids=[A, B], rank=lambda held: [B])
    wild.hear(B, Decline(B, Reason.NOT_OFFERED))
    with pytest.raises(StepRefused):
        wild.offered(A, 300)


@pytest.mark.parametrize("ids", [[], [A, A], [bytes([number]) * 16 for number in range(33)]])
def test_a_need_has_some_different_requests(ids: list[bytes]) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        Buying(ids=ids)


def test_steps_that_the_table_lacks_change_nothing() -> None:
    buying = Buying()
    before = (buying.machine.state, buying.machine.deadline_ms())
    stray = Receipt(PROVIDER, 0, 1)
    assert buying.hear(A, stray, "x") == [InSession(A, Refused(stray))]
    assert buying.hear(A, CONFIRM, "x") == [InSession(A, Refused(CONFIRM))]
    with pytest.raises(StepRefused):
        buying.hear(b"?" * 16, CONFIRM)
    with pytest.raises(StepRefused):
        buying.give(LedgerFailed())
    with pytest.raises(StepRefused):
        buying.give(InSession(A, Tick()))  # type: ignore[arg-type]
    assert (buying.machine.state, buying.machine.deadline_ms()) == before
    assert buying.give(InSession(A, Recorded(CONFIRM, digest("x")))) == []


steps = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(["offer", "decline", "confirm", "reject", "void", "lost", "tick"])),
    max_size=40,
)


@given(steps)
@settings(max_examples=200)
def test_there_is_never_a_second_agreement_open(story: list[tuple[bytes, str]]) -> None:
    buying, open_accepts, agreed = Buying(answer_ms=3_000), set[bytes](), 0
    messages: dict[str, Any] = {"confirm": CONFIRM, "reject": reject(), "void": Void(PROVIDER, 0, Reason.WITHDRAWN)}
    for place, (request_id, kind) in enumerate(story):
        if kind in ("reject", "void") and buying.machine.state is ClientStage.ACCEPTING:
            open_accepts.discard(request_id)
        match kind:
            case "tick":
                effects = buying.give(Tick(), wait_ms=2_000)
            case "offer":
                effects = buying.offered(request_id, 100 + place)
            case "decline":
                effects = buying.hear(request_id, Decline(request_id, Reason.BUSY))
            case "lost":
                effects = buying.give(InSession(request_id, LinkLost()))
            case _:
                effects = buying.hear(request_id, messages[kind], kind)
        for effect in effects:
            agreed += isinstance(effect, Agreed)
            if isinstance(effect, InSession) and isinstance(effect.step, Append):
                effects += buying.give(InSession(effect.request_id, Recorded(effect.step.message, digest("own"))))
                accepted = isinstance(effect.step.message, Accept)
                (open_accepts.add if accepted else open_accepts.discard)(effect.request_id)
            assert len(open_accepts) <= 1
    assert agreed <= 1
