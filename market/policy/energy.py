"""How much energy can be given, and which limit says so.

The reserve is battery-side and an agreement is at the delivery point, so each figure passes one function, `drawn_wh`,
that rounds against us; what is available is the most that still fits, searched with that same function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from market.errors import Reason
from market.policy.debt import debt_room
from market.policy.facts import BatteryFacts, Case, Window
from market.policy.owner import OwnerPolicy
from market.pricing import highest_cost_micro
from market.terms import LossRule, Offer
from market.units import MAX_ENERGY_WH, MS_PER_HOUR, PPM, Role, energy_at_power_wh, rounded_up


@dataclass(frozen=True, slots=True)
class Floor:
    """What has to stay in the battery, from empty, and why."""

    energy_wh: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class EnergyLimit:
    """The most energy at the delivery point that one limit lets pass."""

    energy_wh: int
    reason: Reason


def floor(policy: OwnerPolicy, battery: BatteryFacts, now_ms: int, clock_trusted: bool) -> Floor:
    """The highest of the owner's reserve, what the planned departure needs, and the maker's floor.

    A departure that has passed needs nothing more; by a clock that may be wrong none has passed.
    """
    reserve_wh = rounded_up(battery.capacity_wh * policy.reserve_permille, 1_000)
    floors = [Floor(reserve_wh, Reason.RESERVE), Floor(battery.maker_floor_wh, Reason.MAKER_FLOOR)]
    departure = policy.departure
    if departure is not None and (not clock_trusted or now_ms < departure.at_ms):
        floors.append(Floor(departure.energy_wh, Reason.DEPARTURE))
    return max(floors, key=lambda each: each.energy_wh)


def sent_wh(offer: Offer, energy_wh: int, elapsed_ms: int) -> int:
    """The most that leaves the provider's plug for `energy_wh` at the delivery point, by the agreed loss rule."""
    if offer.reference is Role.PROVIDER:
        return energy_wh
    standby_wh = rounded_up(offer.loss.standby_w * elapsed_ms, MS_PER_HOUR)
    return rounded_up((energy_wh + standby_wh) * PPM, PPM - offer.loss.loss_ppm)


def drawn_wh(offer: Offer, energy_wh: int, battery: BatteryFacts, elapsed_ms: int) -> int:
    """The most that the battery gives for `energy_wh` at the delivery point within `elapsed_ms`, rounded up."""
    passed_wh = sent_wh(offer, energy_wh, elapsed_ms)
    standby_wh = rounded_up(battery.loss.standby_w * elapsed_ms, MS_PER_HOUR)
    return passed_wh + standby_wh + rounded_up(passed_wh * battery.loss.loss_ppm, PPM)


def delivery_power_w(reference: Role, path: LossRule, battery: BatteryFacts) -> int:
    """The power at the delivery point that the battery can hold just now, rounded down."""
    sent_w = max(0, battery.max_discharge_w - battery.loss.standby_w) * PPM // (PPM + battery.loss.loss_ppm)
    if reference is Role.PROVIDER:
        return sent_w
    return max(0, sent_w - path.standby_w) * (PPM - path.loss_ppm) // PPM


def lasting_limits(case: Case, offer: Offer, elapsed_ms: int) -> tuple[EnergyLimit, ...]:
    """The limits that hold at a request and again at its confirmation: battery, other sessions, day, debt."""
    limits = [] if case.battery is None else _battery_limits(case, case.battery, offer, elapsed_ms)
    committed = case.commitments
    limits.append(
        EnergyLimit(case.policy.daily_cap_wh - committed.delivered_today_wh - committed.promised_wh, Reason.DAILY_CAP)
    )
    debts = debt_room(case.policy, committed, is_stranger=case.is_stranger)
    limits += [EnergyLimit(_payable_wh(offer, left_micro), reason) for left_micro, reason in debts]
    return tuple(limits)


def time_limit(offer: Offer, window: Window) -> EnergyLimit:
    """What full power gives within the window."""
    return EnergyLimit(energy_at_power_wh(offer.power_w, window.length_ms), Reason.WINDOW_UNAVAILABLE)


def tightest(limits: Sequence[EnergyLimit], needed_wh: int) -> EnergyLimit:
    """What all limits let pass (never negative), named by the first that does not let `needed_wh` pass by itself."""
    least = min(limits, key=lambda each: each.energy_wh)
    named = next((each for each in limits if each.energy_wh < needed_wh), least)
    return EnergyLimit(max(0, least.energy_wh), named.reason)


def most(high: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 0 to `high` that fits, where all smaller ones do; 0 where none does."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _battery_limits(case: Case, battery: BatteryFacts, offer: Offer, elapsed_ms: int) -> list[EnergyLimit]:
    below = floor(case.policy, battery, case.now_ms, case.clock_trusted)

    def given_wh(room_wh: int) -> int:
        return most(MAX_ENERGY_WH, lambda wh: drawn_wh(offer, wh, battery, elapsed_ms) <= room_wh)

    free_wh = battery.stored_wh - below.energy_wh
    alone = EnergyLimit(given_wh(free_wh), below.reason)
    if not case.commitments.locked_wh:
        return [alone]
    return [alone, EnergyLimit(given_wh(free_wh - case.commitments.locked_wh), Reason.COMMITTED_ELSEWHERE)]


def _payable_wh(offer: Offer, left_micro: int) -> int:
    return most(MAX_ENERGY_WH, lambda wh: highest_cost_micro(offer, wh) <= left_micro)
