"""The earlier entries of a trade, with a bounded memory."""

from __future__ import annotations

import pytest

from ledger import history
from ledger.entry import EntryType
from ledger.history import Histories
from ledger.store import Ledger
from ledger.transaction import Transaction
from ledger.view import View
from tests.ledger.world import RECEIPT_MICRO, REQUEST, trade


def test_each_entry_gets_the_earlier_ones_of_its_trade(ledger: Ledger) -> None:
    trade(ledger)

    def compare(view: View) -> None:
        histories = Histories()
        for stored in view.page():
            expected = [] if stored.request_id is None else view.entries(stored.request_id, before=stored.position)
            assert histories.before(stored, view) == expected

    ledger.transact(compare)


def test_a_trade_pushed_out_of_memory_is_read_again(ledger: Ledger) -> None:
    trades = [bytes([n]) * 16 for n in range(history.MAX_TRADES + 1)]
    for _ in range(2):
        for request_id in trades:
            ledger.transact(
                lambda tx, request_id=request_id: tx.append(EntryType.INTERVAL, b"", request_id=request_id)  # type: ignore[misc]
            )

    def lengths(view: View) -> list[int]:
        histories = Histories()
        return [len(histories.before(stored, view)) for stored in view.page(limit=1_000)]

    assert ledger.transact(lengths) == [0] + [0] * len(trades) + [1] * len(trades)


def test_a_rolled_back_entry_is_no_history(ledger: Ledger) -> None:
    trade(ledger, intervals=1)

    def one_more(tx: Transaction) -> None:
        interval = tx.append(EntryType.INTERVAL, b"", request_id=REQUEST)
        tx.append(EntryType.RECEIPT, b"", answers=interval.hash, request_id=REQUEST)

    def fail(tx: Transaction) -> None:
        one_more(tx)
        raise ValueError("all back")

    with pytest.raises(ValueError, match="all back"):
        ledger.transact(fail)
    ledger.transact(one_more)
    ledger.transact(lambda tx: tx.append(EntryType.CLOSE, b"", request_id=REQUEST))
    assert ledger.transact(lambda tx: tx.balance("energy", "EUR")).posted_micro == (1 + 2) * RECEIPT_MICRO
