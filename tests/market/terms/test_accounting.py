"""Twin of market/terms/accounting.py."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import TermsInvalid
from market.terms import Draw, Means, Net, NetLine, Pay
from tests.support.market_terms import CLIENT, PROVIDER, REQUEST_ID, digest

AMOUNTS = st.integers(0, 2**62)
DRAW = Draw(digest("voucher"), b"I" * 32, CLIENT, REQUEST_ID)


@given(AMOUNTS, AMOUNTS)
def test_what_is_left_of_a_line_is_what_the_offset_leaves_on_its_one_side(owed: int, owing: int) -> None:
    line = NetLine("EUR", owed, owing)
    left = (line.owed_micro - line.offset_micro, line.owing_micro - line.offset_micro)
    assert 0 in left
    assert left[0] - left[1] == line.remaining_micro == -line.mirrored.remaining_micro
    assert line.mirrored.mirrored == line


def test_lines_rise_by_currency_and_none_comes_twice() -> None:
    lines = (NetLine("EUR", 1, 0), NetLine("SEK", 0, 2))
    assert Net(PROVIDER, 0, digest("head"), lines).lines == lines
    for wrong in ((lines[1], lines[0]), (lines[0], lines[0])):
        with pytest.raises(TermsInvalid, match="rise strictly"):
            Net(PROVIDER, 0, digest("head"), wrong)


def test_a_net_is_answered_by_the_mirrored_lines_only() -> None:
    said = Net(PROVIDER, 0, digest("head"), (NetLine("EUR", 5, 3),))
    answer = Net(CLIENT, 9, digest("other"), (NetLine("EUR", 3, 5),))
    assert said.is_answered_by(answer)
    assert not said.is_answered_by(replace(answer, lines=(NetLine("EUR", 5, 3),)))
    assert not said.is_answered_by(replace(answer, lines=(*answer.lines, NetLine("SEK", 0, 0))))


def test_a_payment_by_voucher_names_it_and_no_other_does() -> None:
    assert Pay(PROVIDER, 0, 1, Means.VOUCHER, draws=(DRAW,)).draw == DRAW
    assert Pay(PROVIDER, 0, 1, Means.CASH).draw is None
    with pytest.raises(TermsInvalid, match="draws"):
        Pay(PROVIDER, 0, 1, Means.VOUCHER)
    with pytest.raises(TermsInvalid, match="draws"):
        Pay(PROVIDER, 0, 1, Means.CASH, draws=(DRAW,))


@pytest.mark.parametrize(
    "change", [{"amount_micro": 6}, {"means": Means.CASH}, {"currency": "SEK"}, {"received": False}], ids=str
)
def test_a_payment_is_answered_by_the_other_side_of_the_same(change: dict[str, object]) -> None:
    paid = Pay(PROVIDER, 0, 5, Means.BANK, reference="E2E 1")
    got = Pay(CLIENT, 7, 5, Means.BANK, reference="seen on Monday", received=True)
    assert paid.is_answered_by(got)
    assert got.is_answered_by(paid)
    assert not paid.is_answered_by(replace(got, **change))  # type: ignore[arg-type]
