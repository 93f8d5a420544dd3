"""The earlier entries of each trade, for the posting rule: read once while a trade runs, not once an entry."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ledger.view import StoredEntry, View

MAX_TRADES: Final = 64
"""Kept in memory. Trades run one or a few at a time; one that goes on after 64 others is read again."""


class Histories:
    """Asked for each entry in the order of arrival."""

    def __init__(self) -> None:
        self._trades: OrderedDict[bytes, list[StoredEntry]] = OrderedDict()

    def before(self, stored: StoredEntry, view: View) -> list[StoredEntry]:
        """The entries of its trade that came before it, from memory or `view`; it is one of them from now on."""
        if stored.request_id is None:
            return []
        history = self._trades.pop(stored.request_id, None)
        if history is None:
            history = list(view.entries(stored.request_id, before=stored.position))
        self._trades[stored.request_id] = [*history, stored]
        if len(self._trades) > MAX_TRADES:
            self._trades.popitem(last=False)
        return history

    def forget(self) -> None:
        """What was remembered may not be in the database: a transaction was rolled back."""
        self._trades.clear()
