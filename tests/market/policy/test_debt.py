"""Twin of market/policy/debt.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import Reason
from market.policy.debt import debt_room
from tests.market.world import committed, policy

AMOUNTS = st.integers(0, 10**9)
LIMITS = policy(debt_cap_micro=5_000_000, stranger_debt_cap_micro=2_000_000)


def room(*, is_stranger: bool = False, **debts: int) -> dict[Reason, int]:
    found = debt_room(LIMITS, committed(**debts), is_stranger=is_stranger)
    return {reason: left_micro for left_micro, reason in found}


def test_what_is_owed_already_is_no_longer_free() -> None:
    assert room() == {Reason.DEBT_CAP: 5_000_000}
    assert room(peer_debt_micro=4_999_999) == {Reason.DEBT_CAP: 1}
    assert room(is_stranger=True, peer_debt_micro=500_000, strangers_debt_micro=1_500_000) == {
        Reason.DEBT_CAP: 4_500_000,
        Reason.STRANGER_DEBT_CAP: 500_000,
    }


@pytest.mark.parametrize("others_micro", [0, 2_000_000, 90_000_000])
def test_a_voucher_adds_its_amount_whatever_other_strangers_owe(others_micro: int) -> None:
    found = room(is_stranger=True, strangers_debt_micro=others_micro, vouched_micro=300_000)
    assert found[Reason.DEBT_CAP] == 5_300_000
    assert found[Reason.STRANGER_DEBT_CAP] == max(0, 2_000_000 - others_micro) + 300_000


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_what_a_voucher_does_not_reach_stays_below_the_caps(peer: int, others: int, vouched: int) -> None:
    found = room(is_stranger=True, peer_debt_micro=peer, strangers_debt_micro=peer + others, vouched_micro=vouched)
    for reason, cap_micro, owed_micro in (
        (Reason.DEBT_CAP, 5_000_000, peer),
        (Reason.STRANGER_DEBT_CAP, 2_000_000, peer + others),
    ):
        if found[reason] >= 0 and vouched == 0:
            assert owed_micro + found[reason] <= cap_micro
        if found[reason] > 0:
            own_micro = max(0, peer + found[reason] - vouched)
            assert own_micro + (others if reason is Reason.STRANGER_DEBT_CAP and own_micro else 0) <= cap_micro
