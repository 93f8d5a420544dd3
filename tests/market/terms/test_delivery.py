"""Twin of market/terms/delivery.py. Bounds and maps of all messages: test_messages.py."""

import pytest

from market.errors import Reason, TermsInvalid
from market.settlement import price_lines
from market.terms import Close, Fee, FeeKind, PriceKind, Receipt, to_map
from market.terms.agreement import MAX_PRICE_STEPS
from tests.market.world import PROVIDER, priced


def test_the_opening_receipt_is_two_numbers() -> None:
    assert to_map(Receipt(PROVIDER, 0, 123_456)) == {0: PROVIDER, 1: 0, 2: 123_456}


def test_the_longest_bill_fits_a_receipt() -> None:
    steps = ((edge, 1) for edge in range(MAX_PRICE_STEPS))
    fees = tuple(Fee(kind, 1) for kind in FeeKind)
    lines = price_lines(priced(PriceKind.TIERED, *steps, fees=fees, tax_permyriad=1))
    amounts = (1,) * len(lines)
    assert Receipt(PROVIDER, 1, 5, 5, amounts).amounts_micro == amounts
    with pytest.raises(TermsInvalid):
        Receipt(PROVIDER, 1, 5, 5, (1,) * 33)


def test_an_amount_is_never_negative() -> None:
    with pytest.raises(TermsInvalid) as refused:
        Close(PROVIDER, 0, Reason.ENERGY_REACHED, 1, 0, (-1,))
    assert refused.value.field == "amounts_micro"
