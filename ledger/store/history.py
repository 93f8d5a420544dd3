"""What each trade has come to, for the posting rule: remembered while a trade runs, not folded anew for each entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from ledger.accounts import Posting, check_postings
from ledger.errors import Full
from ledger.recent import Recent
from ledger.store.view import MAX_ROWS, StoredEntry, View

PostingRule: TypeAlias = Callable[[Any, StoredEntry], tuple[Any, Sequence[Posting]]]
"""(what the entries before have come to, the next entry) -> (what they have come to with it, its postings).

The first is None where there are none before: of the same trade, or, for an entry of no trade, the one that it
answers with all that went into that. The rule is pure, and what it returns first is a value that nobody changes:
`audit.verify` asks it again, years later. It refuses an entry by raising ValueError or LedgerError; the transaction
is then rolled back.
"""

MAX_TRADES: Final = 1_024
"""Kept in memory: a coordinator's hundreds at a time. One that goes on after so many others is folded again."""

MAX_ANSWERED: Final = 4
"""Entries of no trade that lead from one to what it goes back to: a proposal, its answer, and room."""


class Histories:
    """Asked for each entry in the order of arrival."""

    def __init__(self, rule: PostingRule) -> None:
        self._rule = rule
        self._trades: Recent[bytes, tuple[int, Any]] = Recent(MAX_TRADES)  # -> entries, what they have come to

    def postings(self, stored: StoredEntry, view: View) -> Sequence[Posting]:
        """What the rule posts for an entry, checked; it is one of its trade's from now on.

        Raises Full for a trade that is too long, Unbalanced, and what the rule raises; then nothing is remembered.
        """
        if stored.request_id is None:
            return self._checked(self._answered(stored, view), stored)[1]
        count, before = self._before(stored.request_id, stored.position, view)
        if count >= MAX_ROWS:
            raise Full(f"a trade has {MAX_ROWS} entries at most")
        after, postings = self._checked(before, stored)
        self._trades.put(stored.request_id, (count + 1, after))
        return postings

    def forget(self) -> None:
        """What was remembered may not be in the database: a transaction was rolled back."""
        self._trades.clear()

    def _checked(self, before: Any, stored: StoredEntry) -> tuple[Any, Sequence[Posting]]:
        after, postings = self._rule(before, stored)
        check_postings(postings)
        return after, postings

    def _before(self, request_id: bytes, position: int, view: View) -> tuple[int, Any]:
        """How many entries of a trade there are before a position, and what they have come to."""
        known = self._trades.get(request_id)
        if known is not None:
            return known
        entries, state = view.entries(request_id, before=position), None
        for each in entries:
            state, _ = self._rule(state, each)
        return len(entries), state

    def _answered(self, stored: StoredEntry, view: View) -> Any:
        """What has come of that which an entry of no trade answers."""
        line, state = [stored], None
        while len(line) <= MAX_ANSWERED and (held := _held_before(line[-1], view)) is not None:
            if held.request_id is not None:
                state = self._before(held.request_id, stored.position, view)[1]
                break
            line.append(held)
        for each in reversed(line[1:]):
            state, _ = self._rule(state, each)
        return state


def _held_before(stored: StoredEntry, view: View) -> StoredEntry | None:
    """What an entry answers, if it came before it."""
    held = view.entry(stored.entry.answers) if stored.entry.answers else None
    return held if held is not None and held.position < stored.position else None
