"""What a trade has come to, with a bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.accounts import Posting, State
from ledger.entry import EntryType, SignedEntry
from ledger.errors import Full
from ledger.store import history
from ledger.store.history import Histories
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from tests.ledger.world import CLIENT, RECEIPT_MICRO, REQUEST, pair, trade

Seen = tuple[int, ...]


def remembers(before: Seen | None, new: StoredEntry) -> tuple[Seen, Sequence[Posting]]:
    """Posts how many came before, and remembers their positions."""
    before = before or ()
    return (*before, new.position), pair(1 + len(before), State.POSTED)


def counted(view: View, histories: Histories) -> list[int]:
    """How many came before each entry, as far as the rule was told."""
    return [histories.postings(stored, view)[0].amount_micro - 1 for stored in view.page(limit=1_000)]


def test_each_entry_meets_what_the_earlier_ones_of_its_trade_have_come_to(ledger: Ledger) -> None:
    trade(ledger)

    def compare(view: View) -> None:
        stored = view.page()
        held = {each.position: each.request_id for each in stored}
        for each, count in zip(stored, counted(view, Histories(remembers)), strict=True):
            earlier = [at for at, trade_id in held.items() if trade_id == each.request_id and at < each.position]
            assert count == (len(earlier) if each.request_id else 0)

    ledger.transact(compare)


def test_a_trade_pushed_out_of_memory_is_folded_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_TRADES", 2)
    trades = [bytes([n]) * 16 for n in range(3)]
    for request_id in 2 * trades:
        ledger.transact(
            lambda tx, request_id=request_id: tx.append(EntryType.INTERVAL, b"", request_id=request_id)  # type: ignore[misc]
        )
    assert ledger.transact(lambda view: counted(view, Histories(remembers))) == [0, 0, 0, 0, 1, 1, 1]


def test_a_trade_has_an_end(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_ROWS", 2)

    def interval(tx: Transaction) -> SignedEntry:
        return tx.append(EntryType.INTERVAL, b"", request_id=REQUEST)

    for _ in range(2):
        ledger.transact(interval)
    with pytest.raises(Full):
        ledger.transact(interval)


def test_an_entry_of_no_trade_meets_what_it_answers(tmp_path: Path) -> None:
    """A payment of a settled trade, and the peer's word that it came."""

    def go(tx: Transaction) -> list[int]:
        close = tx.append(EntryType.CLOSE, b"", request_id=REQUEST)
        paid = tx.append(EntryType.PAY, b"", answers=close.hash)
        tx.append(EntryType.PAY, b"", answers=paid.hash)
        tx.append(EntryType.NET, b"")
        return counted(tx, Histories(remembers))

    with Ledger.open(tmp_path / "ledger", CLIENT, posting_rule=remembers) as ledger:
        assert ledger.transact(go) == [0, 0, 1, 2, 0]


def test_answers_are_followed_so_far_and_no_further(ledger: Ledger) -> None:
    def go(tx: Transaction) -> list[int]:
        last = b""
        for _ in range(history.MAX_ANSWERED + 3):
            last = tx.append(EntryType.PAY, b"", answers=last).hash
        return counted(tx, Histories(remembers))

    most = history.MAX_ANSWERED
    assert ledger.transact(go) == [0, *range(most + 1), most, most]


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
