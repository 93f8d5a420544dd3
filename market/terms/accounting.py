"""Net and Pay: what two parties sign about money after the trades. They belong to no single trade."""

from dataclasses import dataclass
from enum import IntEnum

from market.terms.agreement import KEY, REQUEST_ID, SIGNED_AT, require
from market.terms.mapping import Boolean, Bytes, Choice, Integer, ListOf, Record, Text, at, check
from market.units import MAX_AMOUNT_MICRO

HASH = Bytes(32)
AMOUNT = Integer(1, MAX_AMOUNT_MICRO)
MAX_NET_LINES = 8
"""Currencies between two peers: more than any two trade in."""
MAX_REFERENCE_CHARS = 64
"""An end-to-end id of a SEPA transfer has 35; a sentence for people fits too."""


@dataclass(frozen=True, slots=True)
class NetLine:
    """What is posted between two peers in one currency: `owed_micro` to the writer by the peer, `owing_micro` by the
    writer to the peer."""

    currency: str = at(0, Text(3, 3))
    owed_micro: int = at(1, Integer(0, MAX_AMOUNT_MICRO))
    owing_micro: int = at(2, Integer(0, MAX_AMOUNT_MICRO))

    @property
    def offset_micro(self) -> int:
        """What the two directions cancel of each other."""
        return min(self.owed_micro, self.owing_micro)

    @property
    def remaining_micro(self) -> int:
        """What is left: owed to the writer, or by the writer where negative."""
        return self.owed_micro - self.owing_micro

    @property
    def after_offset(self) -> "NetLine":
        """What it is once both have signed."""
        offset_micro = self.offset_micro
        return NetLine(self.currency, self.owed_micro - offset_micro, self.owing_micro - offset_micro)

    @property
    def is_open(self) -> bool:
        """Whether anything is owed either way."""
        return bool(self.owed_micro or self.owing_micro)

    @property
    def mirrored(self) -> "NetLine":
        """The same as the peer has to say it."""
        return NetLine(self.currency, self.owing_micro, self.owed_micro)


@dataclass(frozen=True, slots=True)
class Net:
    """Entry of either side: the balances between the two, in the order of the currencies. The other's Net answers it
    with the same balances, mirrored; then the two directions of each currency cancel.

    peer_head: hash of the newest entry of the peer that the writer holds; its own place is the entry's.
    """

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    peer_head: bytes = at(2, HASH)
    lines: tuple[NetLine, ...] = at(3, ListOf(Record(NetLine), 1, MAX_NET_LINES))

    def __post_init__(self) -> None:
        check(self)
        currencies = [line.currency for line in self.lines]
        require(self, currencies == sorted(set(currencies)), "lines", "must rise strictly by currency")

    def is_answered_by(self, answer: "Net") -> bool:
        """Whether the other side says the same balances."""
        return tuple(line.mirrored for line in self.lines) == answer.lines


class Means(IntEnum):
    """How an amount was paid."""

    OTHER = 0
    CASH = 1
    BANK = 2
    """A transfer; the reference is its end-to-end id."""
    CARD = 3
    VOUCHER = 4
    """Drawn on a voucher: from here on its issuer owes."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Of a payment by voucher: the hash of the signed voucher, who issued it, to whom, and the trade that it pays."""

    voucher: bytes = at(0, HASH)
    issuer: bytes = at(1, KEY)
    holder: bytes = at(2, KEY)
    trade: bytes = at(3, REQUEST_ID)


@dataclass(frozen=True, slots=True)
class Pay:
    """Entry of either side: the writer has paid `amount_micro` to the peer, or (`received`) got it from the peer.

    The two answer each other, and each moves the books of its writer alone. reference: what tells the payment from
    others outside. draws: one with the means VOUCHER, none with others.
    """

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    amount_micro: int = at(2, AMOUNT)
    means: Means = at(3, Choice(Means))
    currency: str = at(4, Text(3, 3), "EUR")
    reference: str = at(5, Text(0, MAX_REFERENCE_CHARS), "")
    received: bool = at(6, Boolean(), False)
    draws: tuple[Draw, ...] = at(7, ListOf(Record(Draw), 0, 1), ())

    def __post_init__(self) -> None:
        check(self)
        drawn = self.means is Means.VOUCHER
        require(self, drawn is bool(self.draws), "draws", "names the voucher of a payment by voucher, and of no other")

    @property
    def draw(self) -> Draw | None:
        """The voucher it is drawn on, if it is."""
        return self.draws[0] if self.draws else None

    def is_answered_by(self, answer: "Pay") -> bool:
        """Whether the other side says the same of the same payment."""
        ours = (self.amount_micro, self.means, self.currency, self.draws)
        theirs = (answer.amount_micro, answer.means, answer.currency, answer.draws)
        return ours == theirs and self.received is not answer.received
