"""Double entry: every entry's postings sum to zero, per currency and state. Pure; accounts are names of the caller's.

`pending` holds an amount until it is settled, `void` gives such an amount back (with the sign that it was pending
under), `posted` is final. Nothing is edited: to settle, an entry voids what was pending and posts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.cbor import INT_MAX, INT_MIN
from ledger.errors import Unbalanced

MAX_ACCOUNT_CHARS: Final = 128
"""A node's key in hex (64) and a purpose fit twice."""

MAX_POSTINGS: Final = 64
"""Of one entry: two for each price line of the longest offer, with room."""

_CURRENCY: Final = re.compile(r"[A-Z]{3}")  # ISO 4217 and the private X.. codes


class State(StrEnum):
    """Whether an amount counts already."""

    PENDING = "pending"
    POSTED = "posted"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line: `amount_micro` (millionths of the currency, int64) into `account`; negative takes out of it."""

    account: str
    currency: str
    amount_micro: int
    state: State


@dataclass(frozen=True, slots=True)
class Balance:
    """Of one account in one currency. `pending_micro` is what is held and neither posted nor given back."""

    posted_micro: int = 0
    pending_micro: int = 0

    def plus(self, state: State, amount_micro: int) -> Balance:
        """The balance after `amount_micro` more in `state`."""
        match state:
            case State.POSTED:
                return Balance(self.posted_micro + amount_micro, self.pending_micro)
            case State.PENDING:
                return Balance(self.posted_micro, self.pending_micro + amount_micro)
            case State.VOID:
                return Balance(self.posted_micro, self.pending_micro - amount_micro)


def check_postings(postings: Sequence[Posting]) -> None:
    """Raises Unbalanced unless each line has the right form and each currency and state sums to zero."""
    if len(postings) > MAX_POSTINGS:
        raise Unbalanced(f"{len(postings)} postings of one entry are more than {MAX_POSTINGS}")
    sums: dict[tuple[str, State], int] = {}
    for posting in postings:
        _check_form(posting)
        key = posting.currency, posting.state
        sums[key] = sums.get(key, 0) + posting.amount_micro
    for (currency, state), total in sums.items():
        if total != 0:
            raise Unbalanced(f"{state} postings in {currency} sum to {total} millionths, not to zero")


def fold(postings: Iterable[Posting]) -> Mapping[tuple[str, str], Balance]:
    """Balances by (account, currency)."""
    balances: dict[tuple[str, str], Balance] = {}
    for posting in postings:
        key = posting.account, posting.currency
        balances[key] = balances.get(key, Balance()).plus(posting.state, posting.amount_micro)
    return balances


def _check_form(posting: Posting) -> None:
    if not 1 <= len(posting.account) <= MAX_ACCOUNT_CHARS or not posting.account.isprintable():
        raise Unbalanced(f"an account's name has 1 to {MAX_ACCOUNT_CHARS} printable characters")
    if not _CURRENCY.fullmatch(posting.currency):
        raise Unbalanced(f"{posting.currency!r} is not a currency code of three capital letters")
    if type(posting.amount_micro) is not int or not INT_MIN <= posting.amount_micro <= INT_MAX:
        raise Unbalanced("an amount is a signed 64-bit integer")
    if not isinstance(posting.state, State):
        raise Unbalanced("a state is pending, posted or void")
