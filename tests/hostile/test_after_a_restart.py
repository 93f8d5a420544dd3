"""A peer's entry that the running session refused is kept, signed as it is. It must not begin to count once the node
has been restarted and has its ledger alone: that would undo what both have signed."""

import pytest

from market.delivery import HeldEntry, Standing, Written, standing
from market.errors import Reason
from market.terms import Accept, Close, Closed, Confirm, Dispute, EntryBody, Reject, Void
from market.units import Role
from tests.support.market_stages import AT_S, interval, receipt
from tests.support.market_terms import CLIENT, PROVIDER, digest, offer

TRADE: tuple[tuple[Role, EntryBody], ...] = (
    (Role.CLIENT, Accept(PROVIDER, AT_S, "EUR")),
    (Role.PROVIDER, Confirm(CLIENT, AT_S)),
    (Role.PROVIDER, interval(0, 0, 5_000)),
    (Role.CLIENT, receipt(0, 70_000)),
    (Role.PROVIDER, interval(1, 60, 5_100)),
    (Role.CLIENT, receipt(1, 70_100, 100, (30_000,))),
    (Role.PROVIDER, interval(2, 120, 5_200)),
    (Role.CLIENT, receipt(2, 70_200, 200, (60_000,))),
)
"""Numbers in the names below: after how many of these the peer says it."""


def seen_by(role: Role, entries: list[tuple[Role, EntryBody]]) -> Standing:
    held = [HeldEntry(said, digest(f"{who.name} {said}"), who is role) for who, said in entries]
    return standing(role, offer(), held)


@pytest.mark.parametrize(
    ("after", "peer", "said"),
    [
        (4, Role.CLIENT, interval(1, 30, 5_000)),
        (3, Role.CLIENT, Reject(PROVIDER, AT_S, Reason.WITHDRAWN)),
        (3, Role.CLIENT, Dispute(PROVIDER, AT_S, 0, 0, 0, 0)),
        (6, Role.CLIENT, Dispute(PROVIDER, AT_S, 1, 100, 0, 0)),
        (7, Role.CLIENT, Dispute(PROVIDER, AT_S, 3, 200, 0, 0)),
        (7, Role.CLIENT, receipt(2, 70_200, 100, (30_000,))),
        (7, Role.CLIENT, receipt(2, 70_100, 100, (30_000,))),
        (7, Role.CLIENT, receipt(0, 70_000)),
        (6, Role.CLIENT, Void(PROVIDER, AT_S, Reason.WITHDRAWN)),
        (8, Role.CLIENT, Closed(PROVIDER, AT_S, 1, 0, (0,))),
        (4, Role.PROVIDER, receipt(1, 70_000, 0, (10**12,))),
        (5, Role.PROVIDER, Dispute(CLIENT, AT_S, 1, 10**6, 10**6, 10**6)),
        (6, Role.PROVIDER, interval(2, 120, 4_000)),
        (6, Role.PROVIDER, interval(2, 60, 9_000)),
        (6, Role.PROVIDER, interval(3, 120, 9_000)),
        (6, Role.PROVIDER, interval(1, 120, 9_000)),
        (6, Role.PROVIDER, Void(CLIENT, AT_S, Reason.WITHDRAWN)),
        (8, Role.PROVIDER, Closed(CLIENT, AT_S, 9, 10**6, (10**12,))),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EntryBody) else str(getattr(value, "name", value)),
)
def test_what_was_refused_when_it_came_does_not_count_after_a_restart(after: int, peer: Role, said: EntryBody) -> None:
    role = Role.CLIENT if peer is Role.PROVIDER else Role.PROVIDER
    honest = seen_by(role, list(TRADE))
    attacked = seen_by(role, [*TRADE[:after], (peer, said), *TRADE[after:]])
    assert attacked == honest
    assert (honest.account.agreed_wh, honest.written) == (200, Written.NOTHING)


@pytest.mark.parametrize("role", list(Role))
def test_a_peers_close_over_other_totals_settles_nothing(role: Role) -> None:
    peer = Role.CLIENT if role is Role.PROVIDER else Role.PROVIDER
    attacked = seen_by(role, [*TRADE, (peer, Close(CLIENT, AT_S, Reason.ENERGY_REACHED, 1, 0, (0,)))])
    assert attacked.account == seen_by(role, list(TRADE)).account
    assert attacked.written is Written.NOTHING
