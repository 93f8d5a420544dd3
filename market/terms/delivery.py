"""Interval to Closed: the entries that meter a delivery and settle it. All registers and energies are cumulative."""

from dataclasses import dataclass

from market.errors import Reason
from market.terms.agreement import AT, KEY, SIGNED_AT
from market.terms.mapping import Choice, Integer, ListOf, at, check
from market.units import MAX_AMOUNT_MICRO, MAX_ENERGY_WH, MAX_REGISTER_WH

NUMBER = Integer(0, 2**32 - 1)
REGISTER = Integer(0, MAX_REGISTER_WH)
CUMULATIVE = Integer(0, MAX_ENERGY_WH)
AMOUNTS = ListOf(Integer(0, MAX_AMOUNT_MICRO), 0, 32)
"""One cumulative amount for each price line, in the order of `market.settlement.price_lines`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Entry of the provider: its export register at the interval's end. Number 0 opens the delivery, before power.

    end_at_ms is on the provider's clock; the client interpolates its own register to that time.
    """

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    number: int = at(1, NUMBER)
    end_at_ms: int = at(2, AT)
    register_wh: int = at(3, REGISTER)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Entry of the client, answering an Interval: its own register at that time, the energy agreed so far, and the
    amount of each price line so far."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    number: int = at(1, NUMBER)
    register_wh: int = at(2, REGISTER)
    agreed_wh: int = at(3, CUMULATIVE, 0)
    amounts_micro: tuple[int, ...] = at(4, AMOUNTS, ())

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Dispute:
    """Entry of either side: the meters differ beyond tolerance. undisputed_wh never falls below the last Receipt."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    number: int = at(2, NUMBER)
    provider_wh: int = at(3, CUMULATIVE)
    client_wh: int = at(4, CUMULATIVE)
    undisputed_wh: int = at(5, CUMULATIVE)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Resolve:
    """Entry of either side, answering a Dispute: what both agree on in the end, appended, never edited."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    agreed_wh: int = at(2, CUMULATIVE)
    amounts_micro: tuple[int, ...] = at(3, AMOUNTS)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Close:
    """Entry of either side: the settlement as its writer sees it, from the last Receipt it holds."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    reason: Reason = at(2, Choice(Reason))
    receipts: int = at(3, NUMBER)
    """How many Receipts count (the opening one included)."""
    agreed_wh: int = at(4, CUMULATIVE)
    amounts_micro: tuple[int, ...] = at(5, AMOUNTS)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Closed:
    """Entry answering a Close with the same totals."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    receipts: int = at(2, NUMBER)
    agreed_wh: int = at(3, CUMULATIVE)
    amounts_micro: tuple[int, ...] = at(4, AMOUNTS)

    def __post_init__(self) -> None:
        check(self)
