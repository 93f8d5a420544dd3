"""What entries have come to for those that follow them, beside the money of a trade."""

from dataclasses import dataclass

from market.terms import Net, Pay


@dataclass(frozen=True, slots=True)
class Apart:
    """A Net or Pay as its answer is judged by."""

    own: bool
    message: Net | Pay


@dataclass(frozen=True, slots=True)
class Netted:
    """A trade whose bodies were dropped: what it posted stands, and nothing more can be said of it."""
