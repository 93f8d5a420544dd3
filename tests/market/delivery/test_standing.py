"""What the entries of a session alone say of it."""

from dataclasses import replace
from typing import Any

import pytest

from market.delivery import HeldEntry, Standing, Written, standing
from market.errors import Reason
from market.terms import Accept, Close, Closed, Confirm, Dispute, EntryBody, Reject, Void
from market.units import Role
from tests.support.market_stages import AT_S, interval, receipt
from tests.support.market_terms import CLIENT, PROVIDER, digest, offer

ACCEPT, CONFIRM = Accept(PROVIDER, AT_S, "EUR"), Confirm(CLIENT, AT_S)
I0, R0 = interval(0, 0, 5_000), receipt(0, 70_000)
I1, R1 = interval(1, 60, 5_100), receipt(1, 70_100, 100, (30_000,))
CLOSE = Close(CLIENT, AT_S, Reason.ENERGY_REACHED, 2, 100, (30_000,))
CLOSED = Closed(PROVIDER, AT_S, 2, 100, (30_000,))
OF_CLIENT = (Accept, type(R0), Closed)


def held(role: Role, *messages: EntryBody) -> Standing:
    """Each entry's hash is its place; the client signs what clients sign, whatever else the provider."""
    entries = [
        HeldEntry(each, digest(str(place)), isinstance(each, OF_CLIENT) is (role is Role.CLIENT))
        for place, each in enumerate(messages)
    ]
    return standing(role, offer(), entries)


def after(stands: Standing, message: EntryBody, name: str, *, own: bool) -> Standing:
    return stands.after(HeldEntry(message, digest(name), own))


@pytest.mark.parametrize(("role", "answers"), [(Role.PROVIDER, "4"), (Role.CLIENT, "4")])
def test_a_running_session_goes_on_from_the_peers_newest_entry_that_counts(role: Role, answers: str) -> None:
    repeated = (I0, R0, R1) if role is Role.PROVIDER else (R0, I1, I0)
    stands = held(role, ACCEPT, CONFIRM, I0, *repeated)
    assert stands.answers == digest(answers)
    assert (stands.written, stands.account.receipts) == (Written.NOTHING, 1)


def test_before_anything_was_metered_the_client_answers_the_confirm() -> None:
    assert held(Role.CLIENT, ACCEPT, CONFIRM).answers == digest("1")
    assert held(Role.CLIENT, ACCEPT).answers == b""
    assert held(Role.PROVIDER, ACCEPT, CONFIRM).answers == digest("0")


@pytest.mark.parametrize("role", list(Role))
def test_a_settlement_with_its_answer_is_the_end(role: Role) -> None:
    stands = held(role, ACCEPT, CONFIRM, I0, R0, I1, R1, CLOSE, CLOSED)
    assert (stands.written, stands.their_close, stands.account.agreed_wh) == (Written.END, None, 100)


def test_a_close_waits_for_an_answer_with_the_same_totals() -> None:
    metered = (ACCEPT, CONFIRM, I0, R0, I1, R1, CLOSE)
    assert held(Role.PROVIDER, *metered).written is Written.CLOSE
    assert held(Role.PROVIDER, *metered, replace(CLOSED, agreed_wh=99)).written is Written.CLOSE
    told = held(Role.CLIENT, *metered)
    assert told.written is Written.NOTHING
    assert told.their_close is not None
    assert told.their_close.message == CLOSE
    assert held(Role.PROVIDER, *metered).reason is Reason.ENERGY_REACHED


def test_a_receipt_after_our_close_makes_another_due() -> None:
    late = held(Role.PROVIDER, ACCEPT, CONFIRM, I0, R0, I1, replace(CLOSE, receipts=1, agreed_wh=0), R1)
    assert (late.written, late.account.receipts, late.answers) == (Written.NOTHING, 2, digest("6"))


def test_the_clients_own_close_waits_too_and_the_providers_stands_beside_it() -> None:
    stands = held(Role.CLIENT, ACCEPT, CONFIRM, I0, R0)
    stands = after(stands, replace(CLOSE, receipts=1, agreed_wh=0), "own", own=True)
    assert stands.written is Written.CLOSE
    stands = after(stands, CLOSE, "theirs", own=False)
    assert (stands.written, stands.their_close is not None) == (Written.CLOSE, True)


@pytest.mark.parametrize(
    ("role", "own", "metered", "counts"),
    [
        (Role.CLIENT, True, (), True),
        (Role.CLIENT, False, (I0, R0), True),
        (Role.CLIENT, False, (I0, R0, I1, R1), False),
        (Role.PROVIDER, True, (I0,), True),
        (Role.PROVIDER, False, (), True),
        (Role.PROVIDER, False, (I0, R0), False),
    ],
)
def test_a_void_counts_until_receipt_0_and_may_cross_it(role: Role, own: bool, metered: Any, counts: bool) -> None:
    stands = after(held(role, ACCEPT, CONFIRM, *metered), Void(PROVIDER, AT_S, Reason.WITHDRAWN), "void", own=own)
    assert (stands.written is Written.END) is counts
    assert stands.account.receipts == (0 if counts else len(metered) // 2)


def test_a_reject_is_the_end() -> None:
    stands = held(Role.CLIENT, ACCEPT, Reject(CLIENT, AT_S, Reason.RESERVE))
    assert (stands.written, stands.reason) == (Written.END, Reason.RESERVE)


def test_a_dispute_is_in_the_account() -> None:
    stands = held(Role.PROVIDER, ACCEPT, CONFIRM, I0, R0, I1, Dispute(CLIENT, AT_S, 1, 100, 60, 60))
    assert (stands.account.disputed, stands.account.agreed_wh) == (True, 60)
