"""What delivered energy costs, and which energy counts when the two meters differ: pure arithmetic on integers.

Both sides fold the same intervals over the same offer and reach the same amounts. Every figure is cumulative and
rounded once, so that neither rounding nor the number of intervals can move money (ledger rules, promise 5).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from itertools import pairwise

from market.errors import TermsInvalid
from market.terms import FeeKind, LossRule, Offer, PriceKind, PriceStep, Tolerance
from market.units import MS_PER_HOUR, MS_PER_MINUTE, PPM, Role, energy_cost_micro

PERMYRIAD = 10_000


class LineKind(IntEnum):
    """What a price line is for."""

    ENERGY = 0
    SESSION_FEE = 1
    TRAVEL_FEE = 2
    TAX = 3


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of a bill. `label` is for people; `rate` is the price in micro per kWh of an energy line, the amount in
    micro of a fee, the permyriad of a tax."""

    kind: LineKind
    label: str
    rate: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The energy agreed so far, at the delivery point: `line_wh` for each price step of the offer, together
    `agreed_wh`; `at_ms` is the end of the last interval counted."""

    line_wh: tuple[int, ...]
    agreed_wh: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """The meters agree within tolerance: the cumulative energy that counts."""

    agreed_wh: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The meters differ beyond tolerance: what nobody disputes, and the difference that is parked. The caller keeps
    `undisputed_wh` from falling below the last receipt."""

    undisputed_wh: int
    parked_wh: int


_FEE_LINES = {
    FeeKind.SESSION: (LineKind.SESSION_FEE, "session fee"),
    FeeKind.TRAVEL: (LineKind.TRAVEL_FEE, "travel fee"),
}


def price_lines(offer: Offer) -> tuple[PriceLine, ...]:
    """The lines of the bill, in the order of every list of amounts: price steps, fees, and the tax if there is one."""
    lines = [
        PriceLine(LineKind.ENERGY, _step_label(offer.price_kind, step), step.price_micro_per_kwh)
        for step in offer.price_steps
    ]
    lines += [PriceLine(*_FEE_LINES[fee.kind], fee.amount_micro) for fee in offer.fees]
    if offer.tax_permyriad:
        lines.append(PriceLine(LineKind.TAX, "tax", offer.tax_permyriad))
    return tuple(lines)


def _step_label(kind: PriceKind, step: PriceStep) -> str:
    match kind:
        case PriceKind.FIXED:
            return "energy"
        case PriceKind.TIERED:
            return f"energy from {step.edge} Wh"
        case PriceKind.TIME_OF_USE:
            return f"energy from {datetime.fromtimestamp(step.edge * 60, UTC):%Y-%m-%d %H:%M} UTC"


def open_tally(offer: Offer, start_at_ms: int) -> Tally:
    """Nothing delivered yet; `start_at_ms` is the end of interval 0."""
    return Tally((0,) * len(offer.price_steps), 0, start_at_ms)


def add(offer: Offer, tally: Tally, end_at_ms: int, agreed_wh: int) -> Tally:
    """The tally after one more interval, which ended at `end_at_ms` with the cumulative `agreed_wh`.

    A time-of-use price is the one in force when the interval began, since intervals are cut at tariff edges; a tiered
    price is split at the tiers' edges. Raises TermsInvalid when time or energy runs backwards.
    """
    if end_at_ms < tally.at_ms:
        raise TermsInvalid("Tally", "at_ms", f"must not fall below {tally.at_ms}, is {end_at_ms}")
    if agreed_wh < tally.agreed_wh:
        raise TermsInvalid("Tally", "agreed_wh", f"must not fall below {tally.agreed_wh}, is {agreed_wh}")
    if offer.price_kind is PriceKind.TIERED:
        return Tally(tuple(_tier_wh(offer.price_steps, agreed_wh)), agreed_wh, end_at_ms)
    index = _step_at(offer, tally.at_ms) if offer.price_kind is PriceKind.TIME_OF_USE else 0
    line_wh = list(tally.line_wh)
    line_wh[index] += agreed_wh - tally.agreed_wh
    return Tally(tuple(line_wh), agreed_wh, end_at_ms)


def _tier_wh(steps: Sequence[PriceStep], agreed_wh: int) -> Iterator[int]:
    edges = [min(step.edge, agreed_wh) for step in steps] + [agreed_wh]
    return (above - below for below, above in pairwise(edges))


def _step_at(offer: Offer, at_ms: int) -> int:
    """The step in force; before the first edge it is the first, so that every moment has a price."""
    edges = [step.edge for step in offer.price_steps]
    return max(0, bisect_right(edges, at_ms // MS_PER_MINUTE) - 1)


def amounts(offer: Offer, tally: Tally) -> tuple[int, ...]:
    """The cumulative amount in micro of each price line. Fees are due once any energy is agreed; the tax is of
    energy and fees together."""
    pairs = zip(tally.line_wh, offer.price_steps, strict=True)
    energy = [energy_cost_micro(wh, step.price_micro_per_kwh) for wh, step in pairs]
    due = tally.agreed_wh > 0
    net = energy + [fee.amount_micro if due else 0 for fee in offer.fees]
    tax = [tax_micro(sum(net), offer.tax_permyriad)] if offer.tax_permyriad else []
    return tuple(net + tax)


def tax_micro(net_micro: int, tax_permyriad: int) -> int:
    """The tax on a net amount, rounded half up."""
    return (net_micro * tax_permyriad + PERMYRIAD // 2) // PERMYRIAD


def total(amounts_micro: Sequence[int]) -> int:
    """What is owed in all, in micro."""
    return sum(amounts_micro)


def next_tariff_edge_ms(offer: Offer, at_ms: int) -> int | None:
    """When the price changes next after `at_ms`; None where time does not change it."""
    if offer.price_kind is not PriceKind.TIME_OF_USE:
        return None
    return next((edge for step in offer.price_steps if (edge := step.edge * MS_PER_MINUTE) > at_ms), None)


def next_tier_wh(offer: Offer, agreed_wh: int) -> int | None:
    """The cumulative energy above which the next tier's price counts; None where there is no next."""
    if offer.price_kind is not PriceKind.TIERED:
        return None
    return next((step.edge for step in offer.price_steps if step.edge > agreed_wh), None)


def loss_wh(rule: LossRule, wh: int, elapsed_ms: int) -> int:
    """What the agreed rule lets get lost between the meters of a cumulative `wh` (ledger rules, promise 7)."""
    return rule.standby_w * elapsed_ms // MS_PER_HOUR + (wh * rule.loss_ppm + PPM // 2) // PPM


def tolerance_wh(tolerance: Tolerance, wh: int) -> int:
    """How far the two meters may differ after a cumulative `wh`."""
    return max(tolerance.floor_wh, tolerance.class_ppm * wh // PPM)


def agree(offer: Offer, provider_wh: int, client_wh: int, elapsed_ms: int) -> Agreed | Disagreement:
    """Which cumulative energy counts, from what each side's own register shows since opening.

    Within tolerance the agreement's reference meter counts; outside, the smaller of the two, and the difference is
    parked (ledger rules, promise 7).
    """
    expected_wh = max(0, provider_wh - loss_wh(offer.loss, provider_wh, elapsed_ms))
    if abs(client_wh - expected_wh) <= tolerance_wh(offer.tolerance, provider_wh):
        return Agreed(provider_wh if offer.reference is Role.PROVIDER else client_wh)
    return Disagreement(min(provider_wh, client_wh), abs(provider_wh - client_wh))
