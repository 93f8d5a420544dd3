"""The owner's tariff as a value, and the price that an offer quotes from it.

A local time of day becomes a moment here and nowhere else: on the wire and in settlement a tariff's edges are UTC.
The law of a time-of-use tariff is the clock on the wall: at each moment counts the price of the minute that the site's
clock shows, also on the two days a year that are shorter or longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction

from market.errors import Reason, Refusal, TermsInvalid
from market.settlement import PERMYRIAD, Tally, add, amounts, next_tariff_edge_ms, open_tally, total
from market.terms.agreement import MAX_PRICE_STEPS, Offer, PriceKind, PriceStep, require, within
from market.units import (
    MAX_ENERGY_WH,
    MAX_POWER_W,
    MAX_PRICE_MICRO_PER_KWH,
    MS_PER_HOUR,
    MS_PER_MINUTE,
    WH_PER_KWH,
    energy_at_power_wh,
    rounded_up,
)

MINUTES_PER_DAY = 1440
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class FixedTariff:
    """One price at all times."""

    price_micro_per_kwh: int

    def __post_init__(self) -> None:
        within(self, "price_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH)


@dataclass(frozen=True, slots=True)
class DayStep:
    """From this local minute of the day (0 to 1439) on this price counts."""

    minute: int
    price_micro_per_kwh: int

    def __post_init__(self) -> None:
        within(self, "minute", 0, MINUTES_PER_DAY - 1)
        within(self, "price_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH)


@dataclass(frozen=True, slots=True)
class TimeOfUseTariff:
    """Prices by the time of day in the site's `zone`; `weekend` is for Saturday and Sunday, empty where they are like
    the other days. Both lists rise and begin at midnight."""

    steps: tuple[DayStep, ...]
    zone: tzinfo
    weekend: tuple[DayStep, ...] = ()

    def __post_init__(self) -> None:
        require(self, isinstance(self.zone, tzinfo), "zone", "must be a time zone")
        self._check("steps", self.steps)
        if self.weekend:
            self._check("weekend", self.weekend)

    def _check(self, field: str, steps: Sequence[DayStep]) -> None:
        minutes = [step.minute for step in steps]
        require(self, 1 <= len(steps) <= MAX_PRICE_STEPS, field, f"must be 1 to {MAX_PRICE_STEPS} steps")
        require(self, minutes[0] == 0 and minutes == sorted(set(minutes)), field, "must rise strictly from minute 0")

    def price_at(self, at_ms: int) -> int:
        """The price of the minute that the site's clock shows at a moment (UTC)."""
        local = _moment(at_ms).astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return next(step.price_micro_per_kwh for step in reversed(self.steps_of(local.date())) if step.minute <= minute)

    def steps_of(self, day: date) -> Sequence[DayStep]:
        """The steps of a local day."""
        return self.weekend if self.weekend and day.weekday() >= SATURDAY else self.steps


@dataclass(frozen=True, slots=True)
class TieredTariff:
    """Prices by the session's energy: each tier counts from its `edge` in Wh on."""

    tiers: tuple[PriceStep, ...]

    def __post_init__(self) -> None:
        edges = [tier.edge for tier in self.tiers]
        require(self, 1 <= len(edges) <= MAX_PRICE_STEPS, "tiers", f"must be 1 to {MAX_PRICE_STEPS} tiers")
        require(self, edges[0] == 0 and edges == sorted(set(edges)), "tiers", "must rise strictly from 0 Wh")
        require(self, edges[-1] <= MAX_ENERGY_WH, "tiers", f"must end by {MAX_ENERGY_WH} Wh")
        for tier in self.tiers:
            within(tier, "price_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH)


Tariff = FixedTariff | TimeOfUseTariff | TieredTariff


@dataclass(frozen=True, slots=True)
class Costs:
    """What a kWh costs its owner: filling it in again, losses included, and the wear of the battery; and the margin
    on both."""

    refill_micro_per_kwh: int
    wear_micro_per_kwh: int = 0
    margin_permyriad: int = 0

    def __post_init__(self) -> None:
        within(self, "refill_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH)
        within(self, "wear_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH)
        within(self, "margin_permyriad", 0, 10 * PERMYRIAD)

    @property
    def tariff(self) -> FixedTariff:
        """The price that covers them, rounded up. Raises TermsInvalid where that is beyond any price."""
        cost = self.refill_micro_per_kwh + self.wear_micro_per_kwh
        return FixedTariff(rounded_up(cost * (PERMYRIAD + self.margin_permyriad), PERMYRIAD))


@dataclass(frozen=True, slots=True)
class Quote:
    """The price part of an offer."""

    kind: PriceKind
    steps: tuple[PriceStep, ...]


def quote(tariff: Tariff, start_at_ms: int, window_ms: int, clock_trusted: bool) -> Quote | Refusal:
    """The price for a window that starts at `start_at_ms`.

    Refused: CLOCK_UNTRUSTED, a time-of-use price by a clock that may be wrong; WINDOW_UNAVAILABLE, a window with
    more changes of price than an offer carries.
    """
    match tariff:
        case FixedTariff():
            return Quote(PriceKind.FIXED, (PriceStep(0, tariff.price_micro_per_kwh),))
        case TieredTariff():
            return Quote(PriceKind.TIERED, tariff.tiers)
        case TimeOfUseTariff() if not clock_trusted:
            return Refusal(Reason.CLOCK_UNTRUSTED)
    minutes = _changes(tariff, start_at_ms, window_ms)
    steps = merged([PriceStep(minute, tariff.price_at(minute * MS_PER_MINUTE)) for minute in minutes])
    return Quote(PriceKind.TIME_OF_USE, steps) if len(steps) <= MAX_PRICE_STEPS else Refusal(Reason.WINDOW_UNAVAILABLE)


def _changes(tariff: TimeOfUseTariff, start_at_ms: int, window_ms: int) -> list[int]:
    """The UTC minutes of the window, in order, at which the price may change; the first is the window's own."""
    start, end = start_at_ms // MS_PER_MINUTE, rounded_up(start_at_ms + window_ms, MS_PER_MINUTE)
    day, last = (_moment(at * MS_PER_MINUTE).astimezone(tariff.zone).date() for at in (start, end))
    changes = {start}
    while day <= last:
        changes |= {minute for minute in _changes_of(tariff, day) if start < minute < end}
        day += timedelta(days=1)
    return sorted(changes)


def _changes_of(tariff: TimeOfUseTariff, day: date) -> set[int]:
    """Of one local day: its steps, twice where the clock shows them twice, and where the clock itself is changed."""
    midnight = datetime(day.year, day.month, day.day)
    changes = {
        _minute((midnight + timedelta(minutes=step.minute)).replace(tzinfo=tariff.zone, fold=fold))
        for step in tariff.steps_of(day)
        for fold in (0, 1)
    }
    edges = [_minute((midnight + timedelta(days=days)).replace(tzinfo=tariff.zone)) for days in (0, 1)]
    if edges[1] - edges[0] != MINUTES_PER_DAY:
        changes.add(_clock_change(tariff.zone, *edges))
    return changes


def _clock_change(zone: tzinfo, low: int, high: int) -> int:
    """The first minute of [low, high] with another offset from UTC than `low`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: tzinfo, minute: int) -> timedelta | None:
    return _moment(minute * MS_PER_MINUTE).astimezone(zone).utcoffset()


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def gross_price_micro_per_kwh(price_micro_per_kwh: int, tax_permyriad: int) -> int:
    """A price with its tax, rounded up: what a client's highest price is compared with."""
    return rounded_up(price_micro_per_kwh * (PERMYRIAD + tax_permyriad), PERMYRIAD)


def lowest_price_micro_per_kwh(offer: Offer) -> int:
    """The lowest price before tax that may count in this offer."""
    return min(step.price_micro_per_kwh for step in offer.price_steps)


def highest_price_micro_per_kwh(offer: Offer) -> int:
    """The highest price before tax that may count in this offer."""
    return max(step.price_micro_per_kwh for step in offer.price_steps)


def forecast(offer: Offer, energy_wh: int, start_at_ms: int) -> Tally:
    """The tally after `energy_wh` at the offer's full power from `start_at_ms` on."""
    if not 0 <= energy_wh <= MAX_ENERGY_WH:
        raise TermsInvalid("Forecast", "energy_wh", f"must be 0 to {MAX_ENERGY_WH}")
    tally = open_tally(offer, start_at_ms)
    while (edge_ms := next_tariff_edge_ms(offer, tally.at_ms)) is not None:
        by_edge_wh = energy_at_power_wh(offer.power_w, edge_ms - start_at_ms)
        if by_edge_wh >= energy_wh:
            break
        tally = add(offer, tally, edge_ms, by_edge_wh)
    return add(offer, tally, max(tally.at_ms, start_at_ms + duration_ms(energy_wh, offer.power_w)), energy_wh)


def cost_micro(offer: Offer, energy_wh: int, start_at_ms: int) -> int:
    """What `energy_wh` would cost in all, fees and tax included, at the offer's full power from `start_at_ms` on."""
    return total(amounts(offer, forecast(offer, energy_wh, start_at_ms)))


def highest_cost_micro(offer: Offer, energy_wh: int) -> int:
    """What `energy_wh` can cost at most, whenever it is delivered: a time-of-use price counts at its highest."""
    tally = add(offer, open_tally(offer, 0), 0, energy_wh)
    if offer.price_kind is PriceKind.TIME_OF_USE:
        prices = [step.price_micro_per_kwh for step in offer.price_steps]
        dearest = prices.index(max(prices))
        tally = Tally(tuple(energy_wh if line == dearest else 0 for line in range(len(prices))), energy_wh, 0)
    return total(amounts(offer, tally))


def average_price_micro_per_kwh(offer: Offer, energy_wh: int, start_at_ms: int) -> Fraction:
    """Cost per kWh at the delivery point, fees and tax included, exact. Raises TermsInvalid for no energy."""
    if energy_wh < 1:
        raise TermsInvalid("Forecast", "energy_wh", "must be 1 or more")
    return Fraction(cost_micro(offer, energy_wh, start_at_ms) * WH_PER_KWH, energy_wh)


def duration_ms(energy_wh: int, power_w: int) -> int:
    """How long this energy takes at this power, rounded up. power_w: 1 or more."""
    if not 1 <= power_w <= MAX_POWER_W:
        raise TermsInvalid("Forecast", "power_w", f"must be 1 to {MAX_POWER_W}")
    return rounded_up(energy_wh * MS_PER_HOUR, power_w)


def merged(steps: Sequence[PriceStep]) -> tuple[PriceStep, ...]:
    """The same prices without the steps that change nothing."""
    kept: list[PriceStep] = []
    for step in steps:
        if not kept or kept[-1].price_micro_per_kwh != step.price_micro_per_kwh:
            kept.append(step)
    return tuple(kept)
