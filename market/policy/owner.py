"""What the owner decides, as one value. No peer and no coordinator can override it (safety rules)."""

from dataclasses import dataclass
from enum import IntEnum

from market.pricing import Tariff
from market.terms.agreement import KEY, Fee, require, within
from market.units import (
    MAX_AMOUNT_MICRO,
    MAX_AT_MS,
    MAX_ENERGY_WH,
    MAX_POWER_W,
    MAX_PRICE_MICRO_PER_KWH,
    MICRO,
    Service,
    ServiceBits,
)

MAX_LISTED = 10_000
"""Keys in the allow list and in the block list: more neighbours than anybody names by hand."""


class StrangerRule(IntEnum):
    """The first trade with a peer that is neither known nor listed."""

    ASK = 0
    YES = 1
    NO = 2


@dataclass(frozen=True, slots=True)
class Departure:
    """A planned departure (UTC) and the energy that has to be in the battery then, counted from empty."""

    at_ms: int
    energy_wh: int

    def __post_init__(self) -> None:
        within(self, "at_ms", 0, MAX_AT_MS)
        within(self, "energy_wh", 0, MAX_ENERGY_WH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureLimits:
    """Energy delivered but not yet receipted, at most, by service.

    Assumed defaults: what a fast interval of V2V comes to, small for a load, and for a home enough to get through a
    short silence without a blackout.
    """

    v2v_wh: int = 500
    v2l_wh: int = 200
    v2h_wh: int = 1_000
    v2b_wh: int = 2_000

    def __post_init__(self) -> None:
        for name in ("v2v_wh", "v2l_wh", "v2h_wh", "v2b_wh"):
            within(self, name, 2, MAX_ENERGY_WH)

    def of(self, service: Service) -> int:
        """The limit of one service, in Wh."""
        match service:
            case Service.V2V:
                return self.v2v_wh
            case Service.V2L:
                return self.v2l_wh
            case Service.V2H:
                return self.v2h_wh
            case Service.V2B:
                return self.v2b_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerPolicy:
    """The owner's limits and prices. Raises TermsInvalid for a value out of its range.

    reserve_permille: of the battery's capacity, stays in it. daily_cap_wh: sold a day, at the delivery point.
    price_stop_micro_per_kwh: never sold for less before tax, whatever the tariff says (0: no such limit);
    price_tell_micro_per_kwh: the owner is told of a price below this. debt_cap_micro: unpaid, a peer;
    stranger_debt_cap_micro: unpaid, all strangers together. say_would_pass: peers hear which value would pass.
    """

    services: ServiceBits
    tariff: Tariff
    reserve_permille: int
    departure: Departure | None = None
    max_power_w: int = MAX_POWER_W
    daily_cap_wh: int = MAX_ENERGY_WH
    price_tell_micro_per_kwh: int = 0
    price_stop_micro_per_kwh: int = 0
    allow: frozenset[bytes] = frozenset()
    block: frozenset[bytes] = frozenset()
    only_listed: bool = False
    strangers: StrangerRule = StrangerRule.ASK
    debt_cap_micro: int = 50 * MICRO
    stranger_debt_cap_micro: int = 20 * MICRO
    say_would_pass: bool = False
    exposure: ExposureLimits = ExposureLimits()
    fees: tuple[Fee, ...] = ()
    tax_permyriad: int = 0
    currency: str = "EUR"

    def __post_init__(self) -> None:
        for name, high in _BOUNDS.items():
            within(self, name, 0, high)
        for name in ("allow", "block"):
            _check_keys(self, name, getattr(self, name))
        require(self, not self.allow & self.block, "block", "holds a key of the allow list")
        right = len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()
        require(self, right, "currency", "must be three capital letters")
        kinds = [fee.kind for fee in self.fees]
        require(self, kinds == sorted(set(kinds)), "fees", "must rise strictly by kind")
        for fee in self.fees:
            within(fee, "amount_micro", 1, 1_000 * MICRO)


_BOUNDS = {
    "services": int(~ServiceBits(0)),
    "reserve_permille": 1_000,
    "max_power_w": MAX_POWER_W,
    "daily_cap_wh": MAX_ENERGY_WH,
    "price_tell_micro_per_kwh": MAX_PRICE_MICRO_PER_KWH,
    "price_stop_micro_per_kwh": MAX_PRICE_MICRO_PER_KWH,
    "debt_cap_micro": MAX_AMOUNT_MICRO,
    "stranger_debt_cap_micro": MAX_AMOUNT_MICRO,
    "tax_permyriad": 10_000,
}


def _check_keys(policy: OwnerPolicy, field: str, keys: frozenset[bytes]) -> None:
    require(policy, len(keys) <= MAX_LISTED, field, f"must be {MAX_LISTED} keys at most")
    require(policy, all(type(key) is bytes and len(key) == KEY.size for key in keys), field, "must be 32-byte keys")
