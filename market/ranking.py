"""The client's side: which offer to accept. Feasible offers by their landed price for each kWh that arrives in the
client's battery, everything counted: price, fees, tax, losses, the way there and the energy that the way costs.

Exact and deterministic: prices are compared as fractions, ties go to the earlier end, then to the smaller id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import Final

from market.errors import TermsInvalid
from market.policy.path import PATH_TERMS
from market.pricing import (
    cost_micro,
    duration_ms,
    gross_price_micro_per_kwh,
    highest_price_micro_per_kwh,
)
from market.terms import Electrical, Offer, match_electrical
from market.terms.agreement import require, within
from market.units import (
    MAX_AMOUNT_MICRO,
    MAX_AT_MS,
    MAX_DURATION_MS,
    MAX_ENERGY_WH,
    MAX_POWER_W,
    MAX_PRICE_MICRO_PER_KWH,
    PPM,
    WH_PER_KWH,
    Service,
    energy_at_power_wh,
)

MAX_DISTANCE_M: Final = 40_100_000
LENIENCE: Final = 2
"""How many times our own loss and tolerance of a profile another maker's offer may have."""
"""Around the earth."""


class Unfit(Enum):
    """Why an offer is not feasible, in a driver's words."""

    CURRENCY = "It is in another currency."
    PLUG = "Plug, voltage or earthing do not match."
    POWER = "It gives less power than you need."
    PRICE = "It costs more than you want to pay."
    FEES = "Its fees alone are more than the energy may cost."
    METERS = "It lets the meters differ by more than honest ones do."
    TOO_FAR = "It is farther away than you want to drive."
    OUT_OF_RANGE = "Your battery does not reach that far."
    TOO_LATE = "It can't give enough energy in time."
    TOO_LITTLE = "It can't give enough energy."
    NOTHING_ARRIVES = "The way there costs more energy than you would get."


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """The way to the delivery point and the wait there, all of it extra: how far it is, the energy that the detour
    takes from the client's battery, what it costs besides, how long it lasts, and how long the queue is."""

    distance_m: int = 0
    energy_wh: int = 0
    cost_micro: int = 0
    travel_ms: int = 0
    queue_ms: int = 0

    def __post_init__(self) -> None:
        within(self, "distance_m", 0, MAX_DISTANCE_M)
        within(self, "energy_wh", 0, MAX_ENERGY_WH)
        within(self, "cost_micro", 0, MAX_AMOUNT_MICRO)
        within(self, "travel_ms", 0, MAX_DURATION_MS)
        within(self, "queue_ms", 0, MAX_DURATION_MS)


AT_HOME: Final = Travel()
"""The provider comes to us, or stands beside us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An offer with what the client knows about it. id: any bytes that differ between candidates and that its provider
    could not choose freely, such as the hash of the signed offer. efficiency_ppm: from the delivery point to the
    client's battery, the part that arrives."""

    id: bytes
    offer: Offer
    electrical: Electrical
    efficiency_ppm: int = PPM
    travel: Travel = AT_HOME

    def __post_init__(self) -> None:
        within(self, "efficiency_ppm", 1, PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the client wants: energy at the delivery point, as in its Request, by `end_at_ms`.

    price_max_micro_per_kwh: of the energy, tax included, fees not. distance_max_m and spendable_wh (what the client's
    battery can spend on the way): None where it does not drive or does not care.
    """

    service: Service
    electrical: Electrical
    energy_wh: int
    energy_min_wh: int = 1
    power_min_w: int = 0
    price_max_micro_per_kwh: int = MAX_PRICE_MICRO_PER_KWH
    currency: str = "EUR"
    now_ms: int
    end_at_ms: int
    distance_max_m: int | None = None
    spendable_wh: int | None = None

    def __post_init__(self) -> None:
        within(self, "energy_wh", 1, MAX_ENERGY_WH)
        within(self, "energy_min_wh", 1, MAX_ENERGY_WH)
        within(self, "power_min_w", 0, MAX_POWER_W)
        within(self, "price_max_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH)
        within(self, "now_ms", 0, MAX_AT_MS)
        within(self, "end_at_ms", 0, MAX_AT_MS)
        require(self, self.energy_min_wh <= self.energy_wh, "energy_min_wh", "is above energy_wh")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place. For a feasible one: the energy it gives at the delivery point, the landed price, and when
    it is done; for any other `unfit` says why it is none, and they are None."""

    candidate: Candidate
    unfit: Unfit | None
    energy_wh: int | None = None
    landed_price: Fraction | None = None
    done_at_ms: int | None = None

    @property
    def landed_price_micro_per_kwh(self) -> int | None:
        """The landed price for people, rounded half up."""
        return None if self.landed_price is None else (2 * self.landed_price + 1) // 2


def rank(candidates: Sequence[Candidate], wish: Wish) -> tuple[Ranked, ...]:
    """Best first; the infeasible ones at the end, in the order of their ids.

    The same for any order of the input. Raises TermsInvalid when an id occurs twice.
    """
    ids = {candidate.id for candidate in candidates}
    if len(ids) != len(candidates):
        raise TermsInvalid("Candidate", "id", "occurs twice")
    return tuple(sorted((judge(candidate, wish) for candidate in candidates), key=_place))


def _place(ranked: Ranked) -> tuple[bool, Fraction, int, bytes]:
    landed = Fraction(0) if ranked.landed_price is None else ranked.landed_price
    return ranked.unfit is not None, landed, ranked.done_at_ms or 0, ranked.candidate.id


def judge(candidate: Candidate, wish: Wish) -> Ranked:
    """Whether an offer is feasible for a wish, and what it comes to."""
    unfit = _unfit(candidate, wish)
    if unfit is not None:
        return Ranked(candidate, unfit)
    begin_ms = _begin_ms(candidate, wish)
    in_time_wh = energy_at_power_wh(candidate.offer.power_w, max(0, wish.end_at_ms - begin_ms))
    given_wh = min(candidate.offer.energy_wh, wish.energy_wh)
    energy_wh = min(given_wh, in_time_wh)
    if energy_wh < wish.energy_min_wh:
        return Ranked(candidate, Unfit.TOO_LITTLE if given_wh < wish.energy_min_wh else Unfit.TOO_LATE)
    landed = landed_price_micro_per_kwh(candidate, energy_wh, begin_ms)
    if landed is None:
        return Ranked(candidate, Unfit.NOTHING_ARRIVES)
    done_at_ms = begin_ms + duration_ms(energy_wh, candidate.offer.power_w)
    return Ranked(candidate, None, energy_wh, landed, done_at_ms)


def landed_price_micro_per_kwh(candidate: Candidate, energy_wh: int, begin_ms: int) -> Fraction | None:
    """Everything paid, for each kWh more in the client's battery than without this trade; None where there is none.

    energy_wh: at the delivery point, from begin_ms on.
    """
    paid_micro = cost_micro(candidate.offer, energy_wh, begin_ms) + candidate.travel.cost_micro
    arrives = Fraction(energy_wh * candidate.efficiency_ppm, PPM) - candidate.travel.energy_wh
    return paid_micro * WH_PER_KWH / arrives if arrives > 0 else None


def _begin_ms(candidate: Candidate, wish: Wish) -> int:
    travel = candidate.travel
    return max(wish.now_ms + travel.travel_ms + travel.queue_ms, candidate.offer.start_at_ms)


def _unfit(candidate: Candidate, wish: Wish) -> Unfit | None:
    """The first thing that rules an offer out, whatever its energy."""
    offer, travel = candidate.offer, candidate.travel
    price = gross_price_micro_per_kwh(highest_price_micro_per_kwh(offer), offer.tax_permyriad)
    rules = (
        (Unfit.CURRENCY, offer.currency != wish.currency),
        (Unfit.PLUG, not _plugs(candidate, wish)),
        (Unfit.POWER, offer.power_w < wish.power_min_w),
        (Unfit.PRICE, price > wish.price_max_micro_per_kwh),
        (Unfit.FEES, _fees_micro(offer) > _highest_micro(offer, wish)),
        (Unfit.METERS, not _is_fair(offer)),
        (Unfit.TOO_FAR, wish.distance_max_m is not None and travel.distance_m > wish.distance_max_m),
        (Unfit.OUT_OF_RANGE, wish.spendable_wh is not None and travel.energy_wh > wish.spendable_wh),
    )
    return next((unfit for unfit, applies in rules if applies), None)


def _fees_micro(offer: Offer) -> int:
    """All fees with their tax: they count from the first Wh on."""
    return gross_price_micro_per_kwh(sum(fee.amount_micro for fee in offer.fees), offer.tax_permyriad)


def _highest_micro(offer: Offer, wish: Wish) -> int:
    """What the offered energy, or a kWh where it is less, may cost at the client's highest price."""
    return wish.price_max_micro_per_kwh * max(WH_PER_KWH, min(offer.energy_wh, wish.energy_wh)) // WH_PER_KWH


def _is_fair(offer: Offer) -> bool:
    """Whether loss rule and tolerance are near those of honest meters. What they allow beyond that, a provider could
    bill without delivering it, and the client would have agreed to call it delivered."""
    usual = PATH_TERMS[offer.profile]
    return (
        offer.loss.standby_w <= LENIENCE * usual.loss.standby_w
        and offer.loss.loss_ppm <= LENIENCE * usual.loss.loss_ppm
        and offer.tolerance.floor_wh <= LENIENCE * usual.tolerance.floor_wh
        and offer.tolerance.class_ppm <= LENIENCE * usual.tolerance.class_ppm
    )


def _plugs(candidate: Candidate, wish: Wish) -> bool:
    """Whether both sides can run the offer's own profile for this service."""
    offered = candidate.offer.profile
    if offered not in candidate.electrical.profiles:
        return False
    only = replace(candidate.electrical, profiles=(offered,))
    return match_electrical(only, wish.electrical, wish.service, power_min_w=0) is offered
