"""Both machines of a negotiation against each other, over a channel that loses, repeats and reorders, with ledgers that
fail, clocks that differ, and owners who change their mind."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from market.negotiation import Agreed
from market.terms import Accept, Confirm, Reject, Void
from tests.support.market_fair import LONGEST_MS, START_BY_MS, Fair

fairs = st.builds(
    Fair,
    st.integers(0, 2**32),
    st.integers(1, 4),
    loss=st.sampled_from([0, 100, 300, 600]),
    repeat=st.sampled_from([0, 200]),
    fails=st.sampled_from([0, 100, 400]),
    withdraws_ms=st.none() | st.integers(0, 70_000),
    seller_withdraws_ms=st.none() | st.integers(0, 70_000),
)
VOID_UNWRITTEN = (6_117, 1)
"""The owner takes back an Accept that is confirmed already, and the ledger can't write the Void."""


def is_void(fair: Fair, request_id: bytes) -> bool:
    """By what the client holds."""
    written = [each.message for each in fair.written[request_id]]
    return any(isinstance(each, Void) for each in written + fair.heard[request_id])


@given(fairs)
@example(Fair(*VOID_UNWRITTEN, loss=0, repeat=200, fails=100, withdraws_ms=1_964))
@settings(max_examples=300, deadline=None)
def test_whatever_happens_both_sides_come_to_one_outcome(fair: Fair) -> None:
    fair.run()
    agreed = [each.request_id for each in fair.outcomes if isinstance(each, Agreed)]
    assert len(fair.outcomes) == 1, "a need ends once, and so with one agreement at most"
    for request_id, seller in fair.sellers.items():
        stands = seller.confirmed and not seller.voided
        assert stands is (request_id in agreed and not is_void(fair, request_id)), "an agreement is one for both"
        assert bool(seller.locked) is stands, "what is locked is agreed"
        assert not seller.lapsed or request_id in fair.unwritten, "start_by ends only what could not be voided"


@given(fairs)
@settings(max_examples=150, deadline=None)
def test_an_accept_is_the_only_one_until_it_is_rejected_or_void_in_writing(fair: Fair) -> None:
    fair.run()
    for request_id in fair.sellers:
        if request_id in [each.request_id for each in fair.outcomes if isinstance(each, Agreed)]:
            continue
        if any(isinstance(each.message, Accept) for each in fair.written[request_id]):
            rejected = any(isinstance(each, Reject) for each in fair.heard[request_id])
            assert rejected or is_void(fair, request_id) or request_id in fair.unwritten


@given(fairs)
@settings(max_examples=150, deadline=None)
def test_each_accept_gets_at_most_one_answer_and_only_the_live_offer_is_confirmed(fair: Fair) -> None:
    fair.run()
    assert fair.dead_offers_confirmed == 0
    for request_id, seller in fair.sellers.items():
        accepts = [each.digest for each in fair.written[request_id] if isinstance(each.message, Accept)]
        heard = any(isinstance(each, Confirm | Reject) for each in fair.heard[request_id])
        assert all(seller.answers.get(each, 0) <= 1 for each in accepts)
        assert sum(seller.answers.get(each, 0) for each in accepts) >= heard
        confirms = {each.digest for each in seller.newest if isinstance(each.message, Confirm)}
        assert len(confirms) <= 1, "one agreement a request"


@given(fairs)
@settings(max_examples=50, deadline=None)
def test_a_fair_is_over_soon_after_its_channel_is_healed(fair: Fair) -> None:
    """All that is left then is start_by."""
    fair.run()
    assert fair.last_change_ms <= START_BY_MS


def test_the_fair_comes_to_agreements_and_to_none() -> None:
    """Or the laws would hold of nothing."""
    outcomes = []
    for seed in range(60):
        fair = Fair(seed, 3, loss=200, repeat=100, fails=50, withdraws_ms=None)
        fair.run()
        outcomes += fair.outcomes
        assert fair.now_ms <= LONGEST_MS
    agreed = sum(isinstance(each, Agreed) for each in outcomes)
    assert 10 < agreed < 60
