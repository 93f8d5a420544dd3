"""The owner's limits while energy flows: they are in force at once, also where they changed since the agreement."""

from dataclasses import dataclass

from market.errors import Reason
from market.policy.debt import debt_room
from market.policy.energy import delivery_power_w, drawn_wh, floor
from market.policy.facts import BatteryFacts, Commitments, Window
from market.policy.owner import OwnerPolicy
from market.terms import Offer
from market.units import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A delivery that runs under an agreement.

    window: as locked at Confirm; delivered_wh: so far, at the delivery point; owed_micro: receipted so far; ahead_wh:
    what may still flow until the power is off after a stop, so that a limit is kept and not only noticed.
    """

    offer: Offer
    service: Service
    client_key: bytes
    window: Window
    delivered_wh: int
    owed_micro: int
    ahead_wh: int


def recheck_running(
    running: Running,
    policy: OwnerPolicy,
    battery: BatteryFacts | None,
    commitments: Commitments,
    now_ms: int,
    clock_trusted: bool,
) -> Reason | None:
    """Why this delivery has to stop now; None: go on. `commitments` are those of all other sessions."""
    if running.client_key in policy.block or not running.service.bit & policy.services:
        return Reason.STOPPED_BY_OWNER
    return (
        _time(running, policy, now_ms if clock_trusted else None)
        or _reserve(running, policy, battery, now_ms, clock_trusted)
        or _day(running, policy, commitments)
        or _debt(running, policy, commitments)
    )


def allowed_power_w(offer: Offer, policy: OwnerPolicy, battery: BatteryFacts | None) -> int:
    """The most power at the delivery point just now: never above the agreement's."""
    agreed_w = min(offer.power_w, policy.max_power_w)
    return agreed_w if battery is None else min(agreed_w, delivery_power_w(offer.reference, offer.loss, battery))


def _time(running: Running, policy: OwnerPolicy, now_ms: int | None) -> Reason | None:
    """By a clock that may be wrong neither the departure nor the window's end is known: both are left to people."""
    departure = policy.departure
    if now_ms is None:
        return None
    if departure is not None and running.window.start_at_ms < departure.at_ms <= now_ms:
        return Reason.DEPARTURE_REACHED
    return Reason.WINDOW_ENDED if now_ms >= running.window.end_at_ms else None


def _reserve(
    running: Running, policy: OwnerPolicy, battery: BatteryFacts | None, now_ms: int, clock_trusted: bool
) -> Reason | None:
    if battery is None:
        return None
    left_wh = battery.stored_wh - drawn_wh(running.offer, running.ahead_wh, battery, elapsed_ms=0)
    return Reason.RESERVE_REACHED if left_wh < floor(policy, battery, now_ms, clock_trusted).energy_wh else None


def _day(running: Running, policy: OwnerPolicy, commitments: Commitments) -> Reason | None:
    today_wh = commitments.delivered_today_wh + running.delivered_wh + running.ahead_wh
    return Reason.DAILY_CAP_REACHED if today_wh > policy.daily_cap_wh else None


def _debt(running: Running, policy: OwnerPolicy, commitments: Commitments) -> Reason | None:
    is_stranger = not commitments.peer_known and running.client_key not in policy.allow
    room = debt_room(policy, commitments, is_stranger=is_stranger)
    return next((reason for left_micro, reason in room if running.owed_micro > left_micro), None)
