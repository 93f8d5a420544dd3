"""The earlier entries of a trade, with a bounded memory."""

from __future__ import annotations

from ledger import history
from ledger.entry import EntryType
from ledger.history import Histories
from ledger.store import Ledger
from ledger.view import View
from tests.ledger.world import trade


def test_each_entry_gets_the_earlier_ones_of_its_trade(ledger: Ledger) -> None:
    trade(ledger)

    def compare(view: View) -> None:
        histories = Histories(view)
        for stored in view.page():
            expected = [] if stored.request_id is None else view.entries(stored.request_id, before=stored.position)
            assert histories.before(stored) == expected

    ledger.transact(compare)


def test_a_trade_pushed_out_of_memory_is_read_again(ledger: Ledger) -> None:
    trades = [bytes([n]) * 16 for n in range(history.MAX_TRADES + 1)]
    for _ in range(2):
        for request_id in trades:
            ledger.transact(
                lambda tx, request_id=request_id: tx.append(EntryType.INTERVAL, b"", request_id=request_id)  # type: ignore[misc]
            )

    def lengths(view: View) -> list[int]:
        histories = Histories(view)
        return [len(histories.before(stored)) for stored in view.page(limit=1_000)]

    assert ledger.transact(lengths) == [0] + [0] * len(trades) + [1] * len(trades)
