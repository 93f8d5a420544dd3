"""Why something was refused or ended: one machine code and one sentence that a driver understands for each.

Two kinds of readers: the owner is told which limit refused; a peer gets the neutral code of `Reason.for_peer`, so
that a refusal gives away neither the state of charge nor the owner's plans.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final


class MarketError(Exception):
    """Base of every error that this package raises."""

    code = "market"


class TermsInvalid(MarketError):
    """A message, or values given for one, break the rules of its fields. Nothing has changed."""

    code = "terms_invalid"

    def __init__(self, message: str, field: str, sentence: str) -> None:
        super().__init__(f"{message}.{field}: {sentence}")
        self.message = message
        self.field = field


class StepRefused(MarketError):
    """The caller asked a machine for a step that its table does not have in this state."""

    code = "step_refused"


class Reason(IntEnum):
    """Codes on the wire (numbers) and in JSON (the name in lower case)."""

    # Said to a peer.
    NOT_OFFERED = 1
    ENERGY_UNAVAILABLE = 2
    POWER_UNAVAILABLE = 3
    PRICE_TOO_LOW = 4
    WINDOW_UNAVAILABLE = 5
    INCOMPATIBLE = 6
    NOT_WELCOME = 7
    AWAITING_OWNER = 8
    CREDIT_LIMIT = 9
    BUSY = 10
    OFFER_EXPIRED = 11
    OFFER_SUPERSEDED = 12
    TOO_MANY_COUNTERS = 13
    REQUEST_UNKNOWN = 14
    MALFORMED = 15
    WRONG_SIGNER = 16
    UNSUPPORTED_VERSION = 17
    CURRENCY_MISMATCH = 18
    OUT_OF_STEP = 19

    # Said to the owner only.
    RESERVE = 30
    DEPARTURE = 31
    MAKER_FLOOR = 32
    DAILY_CAP = 33
    SERVICE_OFF = 34
    BLOCKED = 35
    NOT_LISTED = 36
    STRANGER = 37
    DEBT_CAP = 38
    STRANGER_DEBT_CAP = 39
    PRICE_STOP = 40
    COMMITTED_ELSEWHERE = 41
    CONNECTOR_BUSY = 42
    CLOCK_UNTRUSTED = 43
    FORKED = 44

    # Why an agreement ended.
    ENERGY_REACHED = 60
    CLIENT_FULL = 61
    BELOW_MIN_POWER = 62
    DEPARTURE_REACHED = 63
    STOPPED_BY_OWNER = 64
    STOPPED_BY_PEER = 65
    SILENCE = 66
    EXPOSURE_REACHED = 67
    RESERVE_REACHED = 68
    DAILY_CAP_REACHED = 69
    WRONG_PLUG = 70
    POWER_FAULT = 71
    START_BY_PASSED = 72
    METER_DISAGREEMENT = 73
    LEDGER_FAULT = 74
    SHUTDOWN = 75
    PAUSE_EXPIRED = 76
    WITHDRAWN = 77
    REGISTER_ROLLBACK = 78
    WINDOW_ENDED = 79

    @property
    def code(self) -> str:
        return self.name.lower()

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]

    @property
    def for_peer(self) -> "Reason":
        """What a peer may be told instead."""
        return _FOR_PEER.get(self, self)

    @property
    def is_normal_end(self) -> bool:
        """True for the ends that are not faults (safety.md: client full, below minimum, taper, reached, departure)."""
        return self in _NORMAL_ENDS


_SENTENCES: Final[dict[Reason, str]] = {
    Reason.NOT_OFFERED: "This service is not offered right now.",
    Reason.ENERGY_UNAVAILABLE: "That much energy is not available.",
    Reason.POWER_UNAVAILABLE: "That much power is not available.",
    Reason.PRICE_TOO_LOW: "The price offered is too low.",
    Reason.WINDOW_UNAVAILABLE: "Nothing can be delivered in that time.",
    Reason.INCOMPATIBLE: "The two sides can't be connected: plug, voltage or earthing do not match.",
    Reason.NOT_WELCOME: "This provider does not trade with you.",
    Reason.AWAITING_OWNER: "The owner has to say yes first; ask again in a while.",
    Reason.CREDIT_LIMIT: "Too much is unpaid already; settle it first.",
    Reason.BUSY: "The connector is taken by another delivery.",
    Reason.OFFER_EXPIRED: "The offer has expired; ask again.",
    Reason.OFFER_SUPERSEDED: "A newer offer has replaced this one.",
    Reason.TOO_MANY_COUNTERS: "No more counter-offers are possible in this request.",
    Reason.REQUEST_UNKNOWN: "No such request is open here.",
    Reason.MALFORMED: "The message could not be read.",
    Reason.WRONG_SIGNER: "The message is not signed by the peer that sent it.",
    Reason.UNSUPPORTED_VERSION: "The two sides speak no common version of the protocol.",
    Reason.CURRENCY_MISMATCH: "The two sides do not trade in the same currency.",
    Reason.OUT_OF_STEP: "That message does not fit the state of this session.",
    Reason.RESERVE: "This would go below the reserve that the owner keeps in the battery.",
    Reason.DEPARTURE: "This would take energy that is needed for the planned departure.",
    Reason.MAKER_FLOOR: "This would go below what the maker of the battery allows.",
    Reason.DAILY_CAP: "This would exceed the energy that the owner sells in one day.",
    Reason.SERVICE_OFF: "The owner has switched this service off.",
    Reason.BLOCKED: "The owner has blocked this peer.",
    Reason.NOT_LISTED: "The owner trades only with listed peers, and this one is not listed.",
    Reason.STRANGER: "This peer is new, and the owner wants to be asked first.",
    Reason.DEBT_CAP: "This peer owes as much as the owner allows.",
    Reason.STRANGER_DEBT_CAP: "Strangers together owe as much as the owner allows.",
    Reason.PRICE_STOP: "The price is below what the owner sells for.",
    Reason.COMMITTED_ELSEWHERE: "That energy is promised to another peer already.",
    Reason.CONNECTOR_BUSY: "The connector is promised to another peer at that time.",
    Reason.FORKED: "This peer has signed two histories of its ledger, and the proof is held here.",
    Reason.CLOCK_UNTRUSTED: "This machine's clock can't be trusted, so time-of-use prices are off.",
    Reason.ENERGY_REACHED: "The agreed energy has been delivered.",
    Reason.CLIENT_FULL: "The client needs no more.",
    Reason.BELOW_MIN_POWER: "The power fell below the agreed minimum.",
    Reason.DEPARTURE_REACHED: "The time of departure has come.",
    Reason.STOPPED_BY_OWNER: "The owner pressed stop.",
    Reason.STOPPED_BY_PEER: "The other side stopped.",
    Reason.SILENCE: "The other side fell silent.",
    Reason.EXPOSURE_REACHED: "The energy not yet receipted reached the agreed limit.",
    Reason.RESERVE_REACHED: "The battery reached the owner's reserve.",
    Reason.DAILY_CAP_REACHED: "The energy that the owner sells in one day is used up.",
    Reason.WRONG_PLUG: "The cable goes to somebody else: what one side put on it, the other did not see.",
    Reason.POWER_FAULT: "The power path reported a fault.",
    Reason.START_BY_PASSED: "Delivery did not start in the agreed time.",
    Reason.METER_DISAGREEMENT: "The two meters disagree by more than agreed.",
    Reason.LEDGER_FAULT: "The ledger could not be written, so delivery had to stop.",
    Reason.SHUTDOWN: "The node was shut down.",
    Reason.PAUSE_EXPIRED: "The pause lasted longer than agreed.",
    Reason.WITHDRAWN: "One side withdrew before delivery began.",
    Reason.REGISTER_ROLLBACK: "A meter register went backwards.",
    Reason.WINDOW_ENDED: "The agreed time window has ended.",
}

_FOR_PEER: Final[dict[Reason, Reason]] = {
    Reason.RESERVE: Reason.ENERGY_UNAVAILABLE,
    Reason.DEPARTURE: Reason.ENERGY_UNAVAILABLE,
    Reason.MAKER_FLOOR: Reason.ENERGY_UNAVAILABLE,
    Reason.DAILY_CAP: Reason.ENERGY_UNAVAILABLE,
    Reason.COMMITTED_ELSEWHERE: Reason.ENERGY_UNAVAILABLE,
    Reason.SERVICE_OFF: Reason.NOT_OFFERED,
    Reason.BLOCKED: Reason.NOT_WELCOME,
    Reason.NOT_LISTED: Reason.NOT_WELCOME,
    Reason.FORKED: Reason.NOT_WELCOME,
    Reason.STRANGER: Reason.AWAITING_OWNER,
    Reason.DEBT_CAP: Reason.CREDIT_LIMIT,
    Reason.STRANGER_DEBT_CAP: Reason.CREDIT_LIMIT,
    Reason.PRICE_STOP: Reason.PRICE_TOO_LOW,
    Reason.CONNECTOR_BUSY: Reason.BUSY,
    Reason.CLOCK_UNTRUSTED: Reason.NOT_OFFERED,
    Reason.RESERVE_REACHED: Reason.ENERGY_UNAVAILABLE,
    Reason.DAILY_CAP_REACHED: Reason.ENERGY_UNAVAILABLE,
}

_NORMAL_ENDS: Final[frozenset[Reason]] = frozenset(
    {
        Reason.ENERGY_REACHED,
        Reason.CLIENT_FULL,
        Reason.BELOW_MIN_POWER,
        Reason.DEPARTURE_REACHED,
        Reason.STOPPED_BY_OWNER,
        Reason.STOPPED_BY_PEER,
        Reason.RESERVE_REACHED,
        Reason.DAILY_CAP_REACHED,
        Reason.WINDOW_ENDED,
        Reason.SHUTDOWN,
    }
)


class Quantity(IntEnum):
    """What kind of value would pass."""

    ENERGY_WH = 1
    POWER_W = 2
    PRICE_MICRO_PER_KWH = 3
    START_AT_MS = 4
    RESERVE_PERMILLE = 5
    AMOUNT_MICRO = 6

    @property
    def unit(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class WouldPass:
    """The nearest value that the same request would pass with, at this moment."""

    quantity: Quantity
    value: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the policy said no: the owner's reason, and what would pass (None where nothing would)."""

    reason: Reason
    would_pass: WouldPass | None = None

    @property
    def sentence(self) -> str:
        """For the owner: the reason, and the value that would pass."""
        if self.would_pass is None:
            return self.reason.sentence
        passing = describe(self.would_pass)
        return f"{self.reason.sentence} {passing[0].upper()}{passing[1:]} would pass."


def describe(would_pass: WouldPass) -> str:
    """A value with its unit as a person writes it, e.g. `12.340 kWh`."""
    value = would_pass.value
    match would_pass.quantity:
        case Quantity.ENERGY_WH:
            return f"{value // 1000}.{value % 1000:03d} kWh"
        case Quantity.POWER_W:
            return f"{value} W"
        case Quantity.PRICE_MICRO_PER_KWH:
            return f"{value // 1_000_000}.{value % 1_000_000:06d} a kWh"
        case Quantity.AMOUNT_MICRO:
            return f"{value // 1_000_000}.{value % 1_000_000:06d}"
        case Quantity.RESERVE_PERMILLE:
            return f"a reserve of {value // 10}.{value % 10} %"
        case Quantity.START_AT_MS:
            return (
                f"a start at {datetime.fromtimestamp(value // 1000, UTC):%Y-%m-%d %H:%M} UTC"
                if value
                else "a start now"
            )


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M}"
