"""The owner's policy answers: an offer, or the limit that refused and what would pass.

First the checks that need no price, in a fixed order, then the price, then the energy; the first that refuses answers.
Every value said to pass has been tried: asking again with it, at the same moment, gives an offer.
"""

from dataclasses import dataclass, replace
from typing import Final

from market.errors import Quantity, Reason, Refusal, TermsInvalid, WouldPass
from market.policy.checks import Passage, passage, window_of
from market.policy.energy import EnergyLimit, drawn_wh, lasting_limits, tightest, time_limit
from market.policy.facts import Case, Window
from market.policy.owner import OwnerPolicy
from market.policy.path import (
    INTERVAL_MS,
    PATH_TERMS,
    PAUSE_MAX_MS,
    START_WITHIN_MS,
    TTL_MS,
    silence_rule,
)
from market.pricing import (
    Quote,
    gross_price_micro_per_kwh,
    lowest_price_micro_per_kwh,
    merged,
    quote,
)
from market.terms import (
    Counter,
    Decline,
    Offer,
    PriceKind,
    PriceStep,
    Request,
    acceptable,
)

MIN_EXPOSURE_WH: Final = 2
"""An interval ends at half of the exposure, and no interval is empty."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What a Confirm locks: energy on both sides of the inverter, and the connector for a time."""

    battery_wh: int
    energy_wh: int
    window: Window


def decide(case: Case) -> Offer | Refusal:
    """The owner's answer: as much as was asked for and is available, at least the client's minimum, or why not."""
    answer = _answer(case)
    return answer if isinstance(answer, Offer) else _tried(case, answer)


def confirmable(case: Case, offer: Offer) -> Refusal | None:
    """The same checks once more at the Confirm of an offer, with the locks of all other sessions; None: confirm it.

    Runs inside the commit that takes the locks, so that the same Wh are never confirmed twice. The price was promised
    and is not checked again.
    """
    refusal = _no_longer(case, offer)
    return None if refusal is None else _tried(case, refusal)


def lock_for(case: Case, offer: Offer) -> Lock | Refusal:
    """What the Confirm of this offer locks; a Refusal only for a case that is not confirmable."""
    window = window_of(case)
    if isinstance(window, Refusal):
        return window
    battery_wh = 0 if case.battery is None else drawn_wh(offer, offer.energy_wh, case.battery, window.length_ms)
    return Lock(battery_wh, offer.energy_wh, window)


def asking_again(request: Request, would_pass: WouldPass) -> Request:
    """The same request with the value that would pass."""
    value = would_pass.value
    match would_pass.quantity:
        case Quantity.ENERGY_WH:
            return replace(request, energy_wh=value, energy_min_wh=min(request.energy_min_wh, value))
        case Quantity.POWER_W:
            return replace(request, power_min_w=min(request.power_min_w, value))
        case Quantity.PRICE_MICRO_PER_KWH:
            return replace(request, price_max_micro_per_kwh=value)
        case Quantity.START_AT_MS:
            return replace(request, start_at_ms=value)
        case Quantity.RESERVE_PERMILLE | Quantity.AMOUNT_MICRO:
            return request  # no values of a request


def countered(request: Request, counter: Counter) -> Request:
    """The request as its client's counter changes it."""
    return replace(
        request,
        energy_wh=counter.energy_wh,
        energy_min_wh=min(request.energy_min_wh, counter.energy_wh),
        price_max_micro_per_kwh=counter.price_max_micro_per_kwh,
    )


def for_peer(refusal: Refusal, policy: OwnerPolicy) -> Refusal:
    """What the peer may hear: a neutral reason, and the value that would pass only where the owner allows it."""
    return Refusal(refusal.reason.for_peer, refusal.would_pass if policy.say_would_pass else None)


def decline(request_id: bytes, refusal: Refusal, policy: OwnerPolicy) -> Decline:
    """The refusal as the message to the peer."""
    said = for_peer(refusal, policy)
    return Decline(request_id, said.reason, acceptable(said.would_pass))


def is_tellworthy(offer: Offer, policy: OwnerPolicy) -> bool:
    """Whether the owner wants to be told of this price."""
    return lowest_price_micro_per_kwh(offer) < policy.price_tell_micro_per_kwh


def _tried(case: Case, refusal: Refusal) -> Refusal:
    """Keep a value that would pass only if it does: another limit may refuse behind the first."""
    if refusal.would_pass is None:
        return refusal
    try:
        again = replace(case, request=asking_again(case.request, refusal.would_pass))
    except TermsInvalid:  # beyond what a request can say
        return Refusal(refusal.reason)
    return refusal if isinstance(_answer(again), Offer) else Refusal(refusal.reason)


def _answer(case: Case) -> Offer | Refusal:
    way = passage(case)
    if isinstance(way, Refusal):
        return way
    price = _price(case, way.window)
    if isinstance(price, Refusal):
        return price
    return _sized(case, way.window, _draft(case, way, price))


def _sized(case: Case, window: Window, draft: Offer) -> Offer | Refusal:
    """The draft with as much of the wanted energy as is available, if that is enough."""
    limits = (*lasting_limits(case, draft, window.length_ms), time_limit(draft, window))
    available = tightest(limits, case.request.energy_min_wh)
    if available.energy_wh < case.request.energy_min_wh:
        return _energy_refusal(available)
    energy_wh = min(case.request.energy_wh, available.energy_wh)
    return replace(draft, energy_wh=energy_wh, exposure_wh=max(MIN_EXPOSURE_WH, min(draft.exposure_wh, energy_wh)))


def _no_longer(case: Case, offer: Offer) -> Refusal | None:
    """Why an offer that was good can't be confirmed any more."""
    way = passage(case)
    if isinstance(way, Refusal):
        return way
    if offer.price_kind is PriceKind.TIME_OF_USE and not case.clock_trusted:
        return Refusal(Reason.CLOCK_UNTRUSTED)
    available = tightest(lasting_limits(case, offer, way.window.length_ms), offer.energy_wh)
    return None if available.energy_wh >= offer.energy_wh else _energy_refusal(available)


def _energy_refusal(available: EnergyLimit) -> Refusal:
    would_pass = WouldPass(Quantity.ENERGY_WH, available.energy_wh) if available.energy_wh else None
    return Refusal(available.reason, would_pass)


def _price(case: Case, window: Window) -> Quote | Refusal:
    """The tariff's price, never below the owner's stop; refused where the client's highest, tax included, is lower."""
    policy, asked = case.policy, case.request
    quoted = quote(policy.tariff, window.start_at_ms, window.length_ms, case.clock_trusted)
    if isinstance(quoted, Refusal):
        return quoted
    reached = [step for step in quoted.steps if quoted.kind is not PriceKind.TIERED or step.edge < asked.energy_wh]
    stop = policy.price_stop_micro_per_kwh
    steps = merged([PriceStep(step.edge, max(stop, step.price_micro_per_kwh)) for step in reached])
    highest = max(step.price_micro_per_kwh for step in steps)
    gross = gross_price_micro_per_kwh(highest, policy.tax_permyriad)
    if gross > asked.price_max_micro_per_kwh:
        reason = Reason.PRICE_STOP if highest == stop else Reason.PRICE_TOO_LOW
        return Refusal(reason, WouldPass(Quantity.PRICE_MICRO_PER_KWH, gross))
    return Quote(quoted.kind, steps)


def _draft(case: Case, way: Passage, price: Quote) -> Offer:
    """The offer with all of the wanted energy."""
    asked, policy, path = case.request, case.policy, PATH_TERMS[way.profile]
    ahead_ms = way.window.start_at_ms - case.now_ms
    return Offer(
        request_id=asked.request_id,
        number=case.number,
        energy_wh=asked.energy_wh,
        power_w=way.power_w,
        profile=way.profile,
        reference=way.profile.reference_meter,
        currency=policy.currency,
        price_kind=price.kind,
        price_steps=price.steps,
        fees=policy.fees,
        tax_permyriad=policy.tax_permyriad,
        loss=path.loss,
        tolerance=path.tolerance,
        exposure_wh=policy.exposure.of(asked.service),
        interval_ms=INTERVAL_MS,
        status_period_ms=case.status_period_ms,
        silence=silence_rule(asked.service),
        start_within_ms=ahead_ms + START_WITHIN_MS,
        pause_max_ms=PAUSE_MAX_MS,
        ttl_ms=TTL_MS,
        start_at_ms=way.window.start_at_ms if ahead_ms else 0,
    )
