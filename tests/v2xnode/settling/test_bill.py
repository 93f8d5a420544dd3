"""A bill reckoned again is the one that was signed, for each kind of price and each end."""

from pathlib import Path

import pytest

from market.errors import TermsInvalid
from market.settlement import open_tally
from tests.support.deals import AT_MS, FIXED, STORIES, Deal, played, sides
from v2xnode.settling.bill import Bill, bill_of


def billed(directory: Path, name: str) -> tuple[Deal, Bill]:
    """A story's bill, the same for both sides."""
    with sides(directory) as (provider, client):
        deal = played(provider, client, name)
        ours, theirs = (bill_of(side.trade(deal.request_id)) for side in (provider, client))
    assert ours is not None
    assert ours == theirs
    return deal, ours


@pytest.mark.parametrize("name", [name for name in STORIES if name != "void"])
def test_both_sides_come_to_what_the_receipts_say(tmp_path: Path, name: str) -> None:
    deal, bill = billed(tmp_path, name)
    assert bill.amounts_micro == deal.account.amounts_micro
    assert sum(each.energy_wh for each in bill.stretches) == bill.tally.agreed_wh == deal.account.agreed_wh
    assert bill.started_at_ms == AT_MS


def test_nothing_metered_is_no_bill(tmp_path: Path) -> None:
    with sides(tmp_path) as (provider, client):
        deal = played(provider, client, "void")
        assert bill_of(provider.trade(deal.request_id)) is None


def test_a_dispute_takes_the_place_of_the_newest_receipt(tmp_path: Path) -> None:
    _, bill = billed(tmp_path, "disputed")
    assert [each.agreed_wh for each in bill.tallies] == [0, 101, 120]


def test_what_both_agree_on_later_is_priced_like_the_disputed_interval(tmp_path: Path) -> None:
    _, bill = billed(tmp_path, "disputed")
    resolved = bill.resolved_at(180)
    assert [each.agreed_wh for each in resolved.tallies] == [0, 101, 180]
    assert resolved.tally.at_ms == bill.tally.at_ms
    with pytest.raises(TermsInvalid):
        bill.resolved_at(100)


def test_without_energy_there_is_one_empty_stretch() -> None:
    (stretch,) = Bill(FIXED, (open_tally(FIXED, AT_MS),)).stretches
    assert (stretch.line, stretch.start_at_ms, stretch.energy_wh) == (0, AT_MS, 0)
