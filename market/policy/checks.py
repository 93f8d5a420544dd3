"""The checks that need no price: who asks, for what, over which path, and when. The first that refuses answers."""

from dataclasses import dataclass
from typing import Final

from market.errors import Quantity, Reason, Refusal, WouldPass
from market.policy.energy import delivery_power_w
from market.policy.facts import Case, Window
from market.policy.owner import StrangerRule
from market.policy.path import PATH_TERMS, START_WITHIN_MS
from market.terms import Profile, match_electrical
from market.units import MAX_DURATION_MS

HORIZON_MS: Final = MAX_DURATION_MS - START_WITHIN_MS
"""The farthest start: an offer's `start_within_ms` has to reach it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """How and when a case that passed the checks can be delivered; power_w: the most, at the delivery point."""

    profile: Profile
    window: Window
    power_w: int


def passage(case: Case) -> Passage | Refusal:
    """Peer, service, currency, path, time, power: the first refusal, or the way through."""
    refusal = _peer(case) or _service(case) or _currency(case)
    if refusal is not None:
        return refusal
    profile = match_electrical(case.provider, case.client, case.request.service, power_min_w=0)
    if isinstance(profile, Refusal):
        return profile
    window = window_of(case)
    if isinstance(window, Refusal):
        return window
    power_w = _power_w(case, profile)
    if power_w < max(1, case.request.power_min_w):
        return Refusal(Reason.POWER_UNAVAILABLE, WouldPass(Quantity.POWER_W, power_w) if power_w else None)
    return Passage(profile, window, power_w)


def _peer(case: Case) -> Refusal | None:
    policy = case.policy
    listed = case.client_key in policy.allow
    if case.commitments.peer_forked:
        return Refusal(Reason.FORKED)
    if case.client_key in policy.block:
        return Refusal(Reason.BLOCKED)
    if policy.only_listed and not listed:
        return Refusal(Reason.NOT_LISTED)
    if not case.is_stranger or case.commitments.owner_said_yes or policy.strangers is StrangerRule.YES:
        return None
    return Refusal(Reason.STRANGER if policy.strangers is StrangerRule.ASK else Reason.NOT_LISTED)


def _service(case: Case) -> Refusal | None:
    return None if case.request.service.bit & case.policy.services else Refusal(Reason.SERVICE_OFF)


def _currency(case: Case) -> Refusal | None:
    return None if case.client_currency == case.policy.currency else Refusal(Reason.CURRENCY_MISMATCH)


def _power_w(case: Case, profile: Profile) -> int:
    sides = (case.request.power_max_w, case.policy.max_power_w, case.provider.continuous_va, case.client.continuous_va)
    if case.battery is None:
        return min(sides)
    return min(*sides, delivery_power_w(profile.reference_meter, PATH_TERMS[profile].loss, case.battery))


def window_of(case: Case) -> Window | Refusal:
    """When the delivery may run: from the asked start to the end of the asked window, the planned departure, or the
    next commitment of the connector, whichever comes first."""
    asked, now_ms = case.request, case.now_ms
    start_ms = max(now_ms, asked.start_at_ms)
    end_ms = (asked.start_at_ms or now_ms) + asked.window_ms
    if asked.start_at_ms and not case.clock_trusted:
        return _other_start(Reason.WINDOW_UNAVAILABLE, 0)
    if end_ms <= start_ms:
        return _other_start(Reason.WINDOW_UNAVAILABLE, now_ms)
    if start_ms - now_ms > HORIZON_MS:
        return _other_start(Reason.WINDOW_UNAVAILABLE, now_ms + HORIZON_MS)
    departure = case.policy.departure
    if departure is not None and case.clock_trusted and now_ms < departure.at_ms:
        if departure.at_ms <= start_ms:
            return _other_start(Reason.DEPARTURE, now_ms)
        end_ms = min(end_ms, departure.at_ms)
    return _free_of(case, Window(start_ms, end_ms))


def _free_of(case: Case, window: Window) -> Window | Refusal:
    """What other sessions leave of a window. By a clock that may be wrong, each of them may be now."""
    taken = sorted(case.commitments.windows, key=lambda each: each.start_at_ms)
    if taken and not case.clock_trusted:
        return Refusal(Reason.CONNECTOR_BUSY)
    free_ms = window.start_at_ms
    for other in taken:
        if other.start_at_ms <= free_ms < other.end_at_ms:
            free_ms = other.end_at_ms
    if free_ms != window.start_at_ms:
        return _other_start(Reason.CONNECTOR_BUSY, free_ms)
    later = [other.start_at_ms for other in taken if other.start_at_ms > window.start_at_ms]
    return Window(window.start_at_ms, min((window.end_at_ms, *later)))


def _other_start(reason: Reason, start_at_ms: int) -> Refusal:
    return Refusal(reason, WouldPass(Quantity.START_AT_MS, start_at_ms))
