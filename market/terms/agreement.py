"""Request to Confirm: the messages that make an agreement, and what ends it before delivery.

Field tables and rules: docs/protocol.md. A field under `REBUILT` is signed but left out on the wire, because the
receiver knows it (whose key it is, which request the session belongs to) and puts it back before checking.
"""

from dataclasses import dataclass
from enum import IntEnum

from market.errors import Quantity, Reason, TermsInvalid, WouldPass
from market.terms.electrical import Profile
from market.terms.mapping import Bytes, Choice, Integer, ListOf, Record, Text, at, check
from market.units import (
    MAX_AMOUNT_MICRO,
    MAX_AT_MS,
    MAX_DURATION_MS,
    MAX_ENERGY_WH,
    MAX_POWER_W,
    MAX_PRICE_MICRO_PER_KWH,
    MICRO,
    MS_PER_MINUTE,
    MS_PER_SECOND,
    PPM,
    Role,
    Service,
)

REQUEST_ID = Bytes(16)
KEY = Bytes(32)
ENERGY = Integer(1, MAX_ENERGY_WH)
POWER = Integer(0, MAX_POWER_W)
PRICE = Integer(0, MAX_PRICE_MICRO_PER_KWH)
AT = Integer(0, MAX_AT_MS)
SIGNED_AT = Integer(0, MAX_AT_MS // MS_PER_SECOND)
"""Seconds since 1970 by the clock of who signs an entry, as it is written: four bytes less than milliseconds."""
DURATION = Integer(0, MAX_DURATION_MS)

MAX_COUNTERS = 3
"""Counter-offers a request may see: enough to find a price, too few to keep a provider busy."""
MAX_PRICE_STEPS = 24
"""A day of hourly tariff edges, or more tiers than any tariff has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A client asks one provider for energy. `request_id` is fresh and random for each provider.

    energy_wh is wanted, energy_min_wh the least that is worth the trouble, both at the delivery point; the window is
    [start_at_ms, start_at_ms + window_ms], with 0 for "from now"; place in 1e-5 degrees (about 1 m), empty unless
    the owner allows it.
    """

    REBUILT = ("provider",)

    request_id: bytes = at(0, REQUEST_ID)
    provider: bytes = at(1, KEY)
    service: Service = at(2, Choice(Service))
    energy_wh: int = at(3, ENERGY)
    energy_min_wh: int = at(4, ENERGY)
    power_max_w: int = at(5, Integer(1, MAX_POWER_W))
    power_min_w: int = at(6, POWER, 0)
    window_ms: int = at(7, Integer(1, MAX_DURATION_MS))
    start_at_ms: int = at(8, AT, 0)
    price_max_micro_per_kwh: int = at(9, PRICE)
    place: tuple[int, ...] = at(10, ListOf(Integer(-18_000_000, 18_000_000), 0, 2), ())

    def __post_init__(self) -> None:
        check(self)
        require(self, self.energy_min_wh <= self.energy_wh, "energy_min_wh", "is above energy_wh")
        require(self, self.power_min_w <= self.power_max_w, "power_min_w", "is above power_max_w")
        require(self, len(self.place) in (0, 2), "place", "is latitude and longitude, or nothing")


class PriceKind(IntEnum):
    FIXED = 0
    TIME_OF_USE = 1
    TIERED = 2


@dataclass(frozen=True, slots=True)
class PriceStep:
    """From `edge` on this price counts. The edge is 0 (fixed), UTC minutes since 1970 (time of use), or the
    cumulative Wh of the session (tiered)."""

    edge: int = at(0, Integer(0, MAX_AT_MS // MS_PER_MINUTE))
    price_micro_per_kwh: int = at(1, PRICE)


class FeeKind(IntEnum):
    SESSION = 1
    """Once a session, as soon as any energy is receipted."""
    TRAVEL = 2
    """For driving to the client; due like the session fee."""


@dataclass(frozen=True, slots=True)
class Fee:
    kind: FeeKind = at(0, Choice(FeeKind))
    amount_micro: int = at(1, Integer(1, 1_000 * MICRO))


@dataclass(frozen=True, slots=True)
class LossRule:
    """What may get lost between the two meters: `standby_w` all the time and `loss_ppm` of the energy, reckoned on
    cumulative values (ledger rules, promise 7)."""

    standby_w: int = at(0, Integer(0, 10_000))
    loss_ppm: int = at(1, Integer(0, PPM // 2))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far the two meters may differ: the larger of `floor_wh` and `class_ppm` (both class errors summed) of the
    cumulative energy."""

    floor_wh: int = at(0, Integer(0, 100_000))
    class_ppm: int = at(1, Integer(0, PPM // 5))


class SilenceRule(IntEnum):
    """What the provider does when the client falls silent (safety rules)."""

    POWER_OFF = 0
    TO_EXPOSURE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A provider's firm price. It locks nothing; a newer offer for the request voids the older.

    energy_wh is what can be delivered; exposure_wh bounds the energy not yet receipted; interval_ms and
    status_period_ms are the longest of each; start_within_ms counts from Confirm on the provider's clock; ttl_ms from
    the moment the offer was made, for the provider, and received, for the client. tax_permyriad is of energy and fees.
    """

    REBUILT = ("request_id",)

    request_id: bytes = at(0, REQUEST_ID)
    number: int = at(1, Integer(0, MAX_COUNTERS), 0)
    energy_wh: int = at(2, ENERGY)
    power_w: int = at(3, Integer(1, MAX_POWER_W))
    profile: Profile = at(4, Choice(Profile))
    reference: Role = at(5, Choice(Role), Role.PROVIDER)
    currency: str = at(6, Text(3, 3), "EUR")
    price_kind: PriceKind = at(7, Choice(PriceKind), PriceKind.FIXED)
    price_steps: tuple[PriceStep, ...] = at(8, ListOf(Record(PriceStep), 1, MAX_PRICE_STEPS))
    fees: tuple[Fee, ...] = at(9, ListOf(Record(Fee), 0, 4), ())
    tax_permyriad: int = at(10, Integer(0, 10_000), 0)
    loss: LossRule = at(11, Record(LossRule))
    exposure_wh: int = at(12, Integer(2, MAX_ENERGY_WH))
    interval_ms: int = at(13, Integer(1_000, 60_000), 60_000)
    status_period_ms: int = at(14, Integer(250, 60_000), 1_000)
    silence: SilenceRule = at(15, Choice(SilenceRule), SilenceRule.POWER_OFF)
    tolerance: Tolerance = at(16, Record(Tolerance))
    start_within_ms: int = at(17, Integer(1_000, MAX_DURATION_MS), 300_000)
    pause_max_ms: int = at(18, DURATION, 600_000)
    ttl_ms: int = at(19, Integer(1_000, 3_600_000), 60_000)
    start_at_ms: int = at(20, AT, 0)

    def __post_init__(self) -> None:
        check(self)
        edges = [step.edge for step in self.price_steps]
        require(self, edges == sorted(set(edges)), "price_steps", "must rise strictly")
        if self.price_kind is PriceKind.FIXED:
            require(self, edges == [0], "price_steps", "is one step from 0 for a fixed price")
        if self.price_kind is PriceKind.TIERED:
            require(self, edges[0] == 0, "price_steps", "starts at 0 Wh for a tiered price")
        require(self, self.reference is self.profile.reference_meter, "reference", "is not the profile's meter")
        kinds = [fee.kind for fee in self.fees]
        require(self, kinds == sorted(set(kinds)), "fees", "must rise strictly by kind")


@dataclass(frozen=True, slots=True)
class Limit:
    """A value that would pass, on the wire."""

    quantity: Quantity = at(0, Choice(Quantity))
    value: int = at(1, Integer(0, MAX_AMOUNT_MICRO))


@dataclass(frozen=True, slots=True)
class Decline:
    """No, with the reason and, where the owner allows saying it, the value that would pass (at most one)."""

    REBUILT = ("request_id",)

    request_id: bytes = at(0, REQUEST_ID)
    reason: Reason = at(1, Choice(Reason))
    acceptable: tuple[Limit, ...] = at(2, ListOf(Record(Limit), 0, 1), ())

    def __post_init__(self) -> None:
        check(self)

    @property
    def would_pass(self) -> WouldPass | None:
        return WouldPass(self.acceptable[0].quantity, self.acceptable[0].value) if self.acceptable else None


def acceptable(would_pass: WouldPass | None) -> tuple[Limit, ...]:
    """The wire's form of a value that would pass."""
    return () if would_pass is None else (Limit(would_pass.quantity, would_pass.value),)


@dataclass(frozen=True, slots=True)
class Counter:
    """The client asks for other terms of the same request: number 1 to 3, answered by an offer of the same number."""

    REBUILT = ("request_id",)

    request_id: bytes = at(0, REQUEST_ID)
    number: int = at(1, Integer(1, MAX_COUNTERS))
    price_max_micro_per_kwh: int = at(2, PRICE)
    energy_wh: int = at(3, ENERGY)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Accept:
    """Entry of the client: the answered hash is the offer's, the currency too (it says what the amounts are in)."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    currency: str = at(2, Text(3, 3), "EUR")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Confirm:
    """Entry of the provider, answering the Accept: energy, connector and window are locked in the same commit."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Reject:
    """Entry of the provider, answering the Accept: no agreement, and why."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    reason: Reason = at(2, Choice(Reason))
    acceptable: tuple[Limit, ...] = at(3, ListOf(Record(Limit), 0, 1), ())

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Void:
    """Entry of either side: the agreement ends before any power, at no cost."""

    REBUILT = ("peer",)

    peer: bytes = at(0, KEY)
    at_s: int = at(1, SIGNED_AT)
    reason: Reason = at(2, Choice(Reason))

    def __post_init__(self) -> None:
        check(self)


def require(message: object, holds: bool, field: str, sentence: str) -> None:
    """Raise TermsInvalid for a rule between fields that does not hold."""
    if not holds:
        raise TermsInvalid(type(message).__name__, field, sentence)


def within(value: object, field: str, low: int, high: int) -> None:
    """Raise TermsInvalid for a field that is no integer from `low` to `high`."""
    held = getattr(value, field)
    right = isinstance(held, int) and not isinstance(held, bool) and low <= held <= high
    require(value, right, field, f"must be an integer from {low} to {high}")
