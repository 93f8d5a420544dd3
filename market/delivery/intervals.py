"""Where the provider cuts its intervals. Pure.

An interval ends by time, by energy, and exactly at tariff edges (tiers need no cut: they are arithmetic). By time and
energy it ends at a reading, as soon as waiting for one more would overstep, so that neither bound is passed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from market.delivery.registers import interpolate
from market.delivery.steps import Reading
from market.settlement import next_tariff_edge_ms
from market.terms import Interval, Offer

SPARE = 16


@dataclass(frozen=True, slots=True)
class Mark:
    """A place at which an interval ends."""

    end_at_ms: int
    register_wh: int


def is_due(offer: Offer, last: Interval, before: Reading, now: Reading) -> bool:
    """Whether the interval that began at the end of `last` has to end at the reading `now`."""
    if now.at_ms <= last.end_at_ms:
        return False
    elapsed_ms, step_ms = now.at_ms - last.end_at_ms, now.at_ms - before.at_ms
    energy_wh, step_wh = now.register_wh - last.register_wh, now.register_wh - before.register_wh
    by_energy = energy_wh > 0 and energy_wh + step_wh > offer.exposure_wh // 2
    return by_energy or elapsed_ms + step_ms > offer.interval_ms


def most(offer: Offer, elapsed_ms: int, energy_wh: int) -> int:
    """How many Intervals `is_due` and the tariff edges can have called for: two for each time that an interval may
    last, four for each exposure that was delivered, two for each edge; and some for clocks and meters that differ."""
    return SPARE + 2 * len(offer.price_steps) + 2 * elapsed_ms // offer.interval_ms + 4 * energy_wh // offer.exposure_wh


def tariff_marks(offer: Offer, before: Reading, now: Reading) -> Iterator[Mark]:
    """The tariff edges after one reading, up to the next, with the register interpolated to each."""
    edge_ms = next_tariff_edge_ms(offer, before.at_ms)
    while edge_ms is not None and edge_ms <= now.at_ms:
        yield Mark(edge_ms, interpolate(before, now, edge_ms))
        edge_ms = next_tariff_edge_ms(offer, edge_ms)
