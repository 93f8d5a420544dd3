"""Both machines of a negotiation against each other, over a channel that loses, repeats and reorders, with ledgers that
fail and owners who change their mind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from market.negotiation import Agreed
from market.terms import Confirm, Reject, Void
from tests.support.market_fair import LONGEST_MS, Fair

fairs = st.builds(
    Fair,
    st.integers(0, 2**32),
    st.integers(1, 4),
    loss=st.sampled_from([0, 100, 300, 600]),
    repeat=st.sampled_from([0, 200]),
    fails=st.sampled_from([0, 100, 400]),
    withdraws_ms=st.none() | st.integers(0, 70_000),
)


@given(fairs)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_both_sides_come_to_one_outcome(fair: Fair) -> None:
    fair.run()
    agreed = [each.request_id for each in fair.outcomes if isinstance(each, Agreed)]
    assert len(agreed) <= 1, "at most one agreement a need"
    assert len(fair.outcomes) == 1, "and it ends once"
    for request_id, seller in fair.sellers.items():
        written = fair.written[request_id]
        voided = any(isinstance(each.message, Void) for each in written) or any(
            isinstance(each, Void) for each in fair.heard[request_id]
        )
        stands = seller.confirmed and not seller.voided
        assert stands is (request_id in agreed), "an agreement is one for both"
        if request_id not in agreed and fair.accepted(request_id):
            answered = any(isinstance(each, Reject) for each in fair.heard[request_id])
            assert voided or answered, "an Accept that came to nothing is voided or rejected in writing"
        assert bool(seller.locked) is stands, "what is locked is agreed"


@given(fairs)
@settings(max_examples=100, deadline=None)
def test_each_accept_gets_exactly_one_confirm_or_reject(fair: Fair) -> None:
    fair.run()
    for request_id, seller in fair.sellers.items():
        for accept in fair.accepted(request_id):
            assert seller.answers.get(accept.digest, 0) <= 1
        confirms = [each for each in seller.newest if isinstance(each.message, Confirm)]
        assert len({each.digest for each in confirms}) <= 1


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
