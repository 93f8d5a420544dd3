"""The posting rule: what each entry moves in our books, from it and what it follows alone.

Only what we sign ourselves moves money; an amount that both have to sign counts when the second signature is held.
"""

from collections.abc import Sequence
from typing import TypeAlias

from ledger.accounts import Posting
from ledger.store.view import StoredEntry
from market.errors import TermsInvalid
from market.terms import Net, Pay
from v2xnode.envelope import message_of
from v2xnode.settling.answers import PAIRED
from v2xnode.settling.apart import Apart, Netted
from v2xnode.settling.netting import net_rule
from v2xnode.settling.payments import pay_rule
from v2xnode.settling.trade_money import Money, trade_rule

Before: TypeAlias = Money | Apart | Netted | None


def posting_rule(before: Before, stored: StoredEntry) -> tuple[Before, Sequence[Posting]]:
    """What an entry comes to with what it follows, and what it posts. Pure. See `ledger.store.history.PostingRule`.

    Raises ValueError for an entry that has no place there.
    """
    if not stored.type.of_trade and stored.type not in PAIRED:
        return before, ()
    if stored.pruned:
        return Netted(), ()
    if stored.type.of_trade and isinstance(before, Netted):
        raise ValueError("this trade was netted, and what it was is no longer held")
    try:
        message = message_of(stored.signed)
    except TermsInvalid as problem:
        raise ValueError(str(problem)) from problem
    match message:
        case Net():
            return Apart(stored.own, message), net_rule(before, stored, message)
        case Pay():
            return Apart(stored.own, message), pay_rule(before, stored, message)
        case _:
            return trade_rule(before if isinstance(before, Money) else Money(), stored, message)
