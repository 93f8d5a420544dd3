"""Entries that belong to no trade and move money: what one of them has come to, for the one that answers it."""

from dataclasses import dataclass

from market.terms import Net, Pay


@dataclass(frozen=True, slots=True)
class Apart:
    """A Net or Pay as its answer is judged by."""

    own: bool
    message: Net | Pay
