"""Twin of market/voucher.py."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import TermsInvalid
from market.terms import from_map, to_map
from market.voucher import Issuer, IssuerList, Voucher, VoucherFault, voucher_fault
from tests.support.market_terms import CLIENT, PROVIDER

ISSUER = b"I" * 32
NOW_S = 1_768_415_520
NAMED = Issuer(ISSUER, ISSUER, "Roaming Ltd", 500_000, "EUR", NOW_S + 1_000)
LIST = IssuerList(publisher=b"L" * 32, number=3, at_s=NOW_S, issuers=(NAMED,))
GOOD = Voucher(
    serial=b"s" * 16,
    issuer=ISSUER,
    holder=CLIENT,
    provider=(PROVIDER,),
    amount_micro=9_000_000,
    not_before_s=NOW_S - 10,
    until_s=NOW_S + 10,
)


def fault(voucher: Voucher = GOOD, lists: tuple[IssuerList, ...] = (LIST,), **changes: Any) -> VoucherFault | None:
    case: dict[str, Any] = {"signer": ISSUER, "holder": CLIENT, "provider": PROVIDER, "at_s": NOW_S} | changes
    return voucher_fault(voucher, case.pop("signer"), lists, **case)


def test_a_good_voucher_is_taken() -> None:
    assert fault() is None
    assert fault(at_s=NOW_S - 10) is None
    assert fault(at_s=NOW_S + 10) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lists": ()}, VoucherFault.UNKNOWN_ISSUER),
        ({"lists": (replace(LIST, issuers=()),)}, VoucherFault.UNKNOWN_ISSUER),
        ({"signer": PROVIDER}, VoucherFault.WRONG_SIGNER),
        ({"lists": (replace(LIST, issuers=(replace(NAMED, until_s=NOW_S - 1),)),)}, VoucherFault.ISSUER_EXPIRED),
        ({"lists": (replace(LIST, revoked=(b"s" * 16,)),)}, VoucherFault.REVOKED),
        ({"at_s": NOW_S + 11}, VoucherFault.EXPIRED),
        ({"at_s": NOW_S - 11}, VoucherFault.NOT_YET_VALID),
        ({"holder": b"X" * 32}, VoucherFault.WRONG_HOLDER),
        ({"provider": b"X" * 32}, VoucherFault.WRONG_PROVIDER),
        ({"provider": ISSUER}, VoucherFault.OWN_VOUCHER),
        ({"voucher": replace(GOOD, provider=())}, VoucherFault.ABOVE_LIMIT),
        ({"voucher": replace(GOOD, provider=(), amount_micro=1, currency="SEK")}, VoucherFault.ABOVE_LIMIT),
    ],
)
def test_each_way_of_being_wrong_has_its_code_and_sentence(changes: dict[str, Any], expected: VoucherFault) -> None:
    found = fault(**changes)
    assert found is expected
    assert found.sentence.endswith(".")


def test_a_small_one_is_good_at_any_provider() -> None:
    assert fault(replace(GOOD, provider=(), amount_micro=500_000)) is None


def test_of_several_lists_each_has_to_be_content() -> None:
    other = replace(LIST, publisher=b"M" * 32)
    assert fault(lists=(LIST, other)) is None
    assert fault(lists=(LIST, replace(other, issuers=()))) is None, "a list that does not name it says nothing of it"
    assert fault(lists=(LIST, replace(other, issuers=(), revoked=(GOOD.serial,)))) is VoucherFault.REVOKED
    stricter = replace(other, issuers=(replace(NAMED, any_limit_micro=1),))
    assert fault(replace(GOOD, provider=(), amount_micro=2), (LIST, stricter)) is VoucherFault.ABOVE_LIMIT


@pytest.mark.parametrize(
    "change",
    [
        {"until_s": NOW_S - 10},
        {"holder": ISSUER},
        {"holder": PROVIDER},
        {"provider": (ISSUER,)},
        {"provider": (PROVIDER, CLIENT)},
        {"amount_micro": 0},
        {"amount_micro": 2**62 + 1},
        {"serial": b"short"},
        {"currency": "EURO"},
    ],
    ids=str,
)
def test_a_voucher_that_makes_no_sense_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(TermsInvalid):
        replace(GOOD, **change)


def test_lists_are_sorted_and_name_nobody_twice() -> None:
    second = replace(NAMED, key=b"J" * 32)
    for wrong in ((second, NAMED), (NAMED, NAMED)):
        with pytest.raises(TermsInvalid, match="issuers"):
            replace(LIST, issuers=wrong)
    with pytest.raises(TermsInvalid, match="revoked"):
        replace(LIST, revoked=(b"b" * 16, b"a" * 16))


@given(st.integers(1, 2**62), st.integers(0, 10**9), st.integers(1, 10**9), st.booleans())
def test_a_voucher_survives_its_map(amount_micro: int, not_before_s: int, length_s: int, anywhere: bool) -> None:
    said = replace(
        GOOD,
        amount_micro=amount_micro,
        not_before_s=not_before_s,
        until_s=not_before_s + length_s,
        provider=() if anywhere else GOOD.provider,
    )
    assert from_map(Voucher, to_map(said)) == said
    assert from_map(IssuerList, to_map(LIST)) == LIST
