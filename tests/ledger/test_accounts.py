"""Double entry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.accounts import MAX_POSTINGS, Balance, Posting, State, check_postings, fold
from ledger.cbor import INT_MAX
from ledger.errors import Unbalanced

postings = st.builds(
    Posting,
    st.sampled_from(["energy", "peer", "fees"]),
    st.sampled_from(["EUR", "CHF"]),
    st.integers(-(10**12), 10**12),
    st.sampled_from(State),
)


@given(st.lists(postings, max_size=10))
def test_balanced_postings_leave_the_sum_of_all_accounts_at_zero(some: list[Posting]) -> None:
    mirrored = [*some, *(Posting("mirror", p.currency, -p.amount_micro, p.state) for p in some)]
    check_postings(mirrored)
    balances = fold(mirrored).values()
    assert sum(balance.posted_micro for balance in balances) == 0
    assert sum(balance.pending_micro for balance in balances) == 0


def test_void_gives_back_what_was_pending() -> None:
    held = Posting("peer", "EUR", 70, State.PENDING)
    back = Posting("peer", "EUR", 70, State.VOID)
    final = Posting("peer", "EUR", 60, State.POSTED)
    assert fold([held, back, final])["peer", "EUR"] == Balance(posted_micro=60, pending_micro=0)


@pytest.mark.parametrize(
    "wrong",
    [
        [Posting("a", "EUR", 1, State.POSTED)],
        [Posting("a", "EUR", 1, State.POSTED), Posting("b", "CHF", -1, State.POSTED)],
        [Posting("a", "EUR", 1, State.POSTED), Posting("b", "EUR", -1, State.PENDING)],
        [Posting("a", "EUR", INT_MAX + 1, State.POSTED), Posting("b", "EUR", -INT_MAX - 1, State.POSTED)],
        [Posting("", "EUR", 0, State.POSTED)],
        [Posting("a\n", "EUR", 0, State.POSTED)],
        [Posting("a", "eur", 0, State.POSTED)],
        [Posting("a", "EUR\n", 0, State.POSTED)],
        [Posting("a", "EUR", True, State.POSTED), Posting("b", "EUR", -1, State.POSTED)],
        [Posting("a", "EUR", 0, State.POSTED)] * (MAX_POSTINGS + 1),
    ],
)
def test_what_does_not_balance_is_refused(wrong: list[Posting]) -> None:
    with pytest.raises(Unbalanced):
        check_postings(wrong)
