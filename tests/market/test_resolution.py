"""Twin of market/resolution.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.delivery import replay
from market.errors import TermsInvalid
from market.resolution import Parked, parked
from market.settlement import total
from market.terms import Dispute, EntryBody, Receipt
from tests.support.market_stages import AT_S, interval, receipt
from tests.support.market_terms import CLIENT, PROVIDER, digest, offer

Entries = list[tuple[EntryBody, bytes]]


def delivered(provider_wh: int, client_wh: int) -> Entries:
    """One Interval receipted over 100 Wh, one over which the meters differ."""
    undisputed_wh = max(min(provider_wh, client_wh), 100)
    return [
        (interval(0, 0, 5_000), digest("i0")),
        (receipt(0, 70_000), digest("r0")),
        (interval(1, 60, 5_100), digest("i1")),
        (Receipt(PROVIDER, 1, 70_100, 100, (30_000,)), digest("r1")),
        (interval(2, 120, 5_000 + provider_wh), digest("i2")),
        (Dispute(CLIENT, AT_S, 2, provider_wh, client_wh, undisputed_wh), digest("d")),
    ]


def found(entries: Entries) -> Parked:
    left = parked(offer(), entries)
    assert left is not None
    return left


def test_a_dispute_parks_what_one_register_counted_and_the_other_did_not() -> None:
    left = found(delivered(400, 250))
    assert (left.undisputed_wh, left.highest_wh, left.parked_wh) == (250, 400, 150)
    left = found(delivered(250, 400))
    assert (left.undisputed_wh, left.highest_wh, left.parked_wh) == (250, 400, 150)


def test_what_was_receipted_is_never_below_the_undisputed_part() -> None:
    assert found(delivered(400, 20)).undisputed_wh == 100


def test_without_a_dispute_nothing_is_parked() -> None:
    assert parked(offer(), delivered(400, 250)[:-1]) is None
    assert parked(offer(), []) is None


def test_a_dispute_over_the_opening_parks_no_energy() -> None:
    entries: Entries = [(interval(0, 0, 5_000), digest("i0")), (Dispute(CLIENT, AT_S, 0, 0, 0, 0), digest("d"))]
    assert parked(offer(), entries) is None


def test_a_dispute_that_takes_the_newest_receipt_back_parks_what_that_said() -> None:
    entries = delivered(400, 250)[:-2]
    entries.append((Dispute(PROVIDER, AT_S, 1, 100, 60, 60), digest("d")))
    left = found(entries)
    assert (left.undisputed_wh, left.highest_wh) == (60, 100)


@given(st.integers(100, 5_000), st.integers(100, 5_000), st.data())
def test_any_energy_between_costs_what_its_sum_costs_and_none_outside_is_taken(
    provider_wh: int, client_wh: int, data: st.DataObject
) -> None:
    left = found(delivered(provider_wh, client_wh))
    agreed_wh = data.draw(st.integers(left.undisputed_wh, left.highest_wh))
    assert total(left.amounts_micro(agreed_wh)) == (agreed_wh * 300_000 + 500) // 1000
    for outside in (left.undisputed_wh - 1, left.highest_wh + 1):
        with pytest.raises(TermsInvalid, match="agreed_wh"):
            left.amounts_micro(outside)


def test_the_undisputed_part_costs_what_the_settlement_says() -> None:
    entries = delivered(400, 250)
    assert found(entries).amounts_micro(250) == replay(offer(), entries).amounts_micro
