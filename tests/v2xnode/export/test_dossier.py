"""Truly signed entries that are no settled trade, or not over what they say, are refused with a code."""

from dataclasses import replace

import pytest

from ledger.errors import RemoteLedgerError
from ledger.files.receipt import Receipt
from market.errors import Reason
from market.terms import Close, Resolve
from tests.support.receipts import read, receipts, resigned
from tests.support.wrong_receipts import ALTERED, changed, place, wrong_receipts
from v2xnode.export.dossier import DossierRefused
from v2xnode.export.receipt import check_receipt


def code_of(receipt: Receipt) -> str:
    try:
        check_receipt(receipt)
    except (DossierRefused, RemoteLedgerError) as problem:
        return problem.code
    return ""


def bare(name: str) -> Receipt:
    """A receipt without checkpoint and proofs."""
    return replace(read(receipts()[name]), note=None, proofs=())


@pytest.mark.parametrize("name", ["fixed", "disputed", "resolved"])
def test_signed_again_without_a_change_it_holds(name: str) -> None:
    assert code_of(resigned(read(receipts()[name]), 0, lambda message: message)) == ""


@pytest.mark.parametrize("name", [name for name in wrong_receipts() if name not in ALTERED])
def test_what_two_parties_sign_still_has_to_add_up(name: str) -> None:
    data, code = wrong_receipts()[name]
    assert code_of(read(data)) == code


def test_both_may_not_resolve_beyond_what_was_metered() -> None:
    name = "resolved"
    receipt = read(receipts()[name])
    for number in (0, 1):
        receipt = resigned(receipt, place(name, Resolve, number), changed(agreed_wh=9_999))
    assert code_of(receipt) == "malformed"


@pytest.mark.parametrize(
    ("cut", "code"),
    [
        (slice(0, 0), "out_of_order"),
        (slice(1, None), "wrong_party"),
        (slice(0, 1), "out_of_order"),
        (slice(0, -1), "out_of_order"),
        (slice(0, -2), "out_of_order"),
    ],
)
def test_a_part_of_a_trade_is_none(cut: slice, code: str) -> None:
    receipt = bare("fixed")
    assert code_of(replace(receipt, entries=receipt.entries[cut])) == code


@pytest.mark.parametrize("first", range(11))
def test_no_two_entries_may_change_places(first: int) -> None:
    receipt = bare("fixed")
    entries = list(receipt.entries)
    entries[first], entries[first + 1] = entries[first + 1], entries[first]
    assert code_of(replace(receipt, entries=tuple(entries))) in ("out_of_order", "wrong_party")


def test_nothing_follows_the_settlement() -> None:
    receipt, other = bare("fixed"), bare("taxed")
    assert code_of(replace(receipt, entries=(*receipt.entries, other.entries[-1]))) == "out_of_order"
    assert code_of(replace(receipt, entries=(*receipt.entries, receipt.entries[-1]))) == "malformed"


@pytest.mark.parametrize("kept", [slice(0, 1), slice(1, 2), slice(0, 0)])
def test_request_and_offer_belong_to_it(kept: slice) -> None:
    receipt = bare("fixed")
    assert code_of(replace(receipt, messages=receipt.messages[kept])) == "out_of_order"


def test_a_reason_changes_nothing() -> None:
    """Why it ended is each side's own word."""
    assert code_of(resigned(read(receipts()["fixed"]), place("fixed", Close), changed(reason=Reason.SILENCE))) == ""
