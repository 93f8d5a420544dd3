"""How much more a peer may owe: the owner's caps on what is unpaid, and what others have promised to pay of it."""

from market.errors import Reason
from market.policy.facts import Commitments
from market.policy.owner import OwnerPolicy


def debt_room(policy: OwnerPolicy, committed: Commitments, *, is_stranger: bool) -> list[tuple[int, Reason]]:
    """For each cap in force, the amount in micro that may still be added (below zero where it is passed already).

    A voucher counts first: as far as it reaches the debt is its issuer's, and neither cap stands in its way.
    """
    room = [(policy.debt_cap_micro - committed.peer_debt_micro + committed.vouched_micro, Reason.DEBT_CAP)]
    if is_stranger:
        left_micro = policy.stranger_debt_cap_micro - committed.strangers_debt_micro
        if committed.vouched_micro:
            left_micro = max(left_micro, -committed.peer_debt_micro) + committed.vouched_micro
        room.append((left_micro, Reason.STRANGER_DEBT_CAP))
    return room
