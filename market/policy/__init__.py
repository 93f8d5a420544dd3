"""The owner's policy: limits and prices as a value, and what follows from them for a request, a Confirm, a delivery.

A provider's driver: gather a `Case` and ask `decide`; at the Accept, inside the commit, ask `confirmable` with a fresh
case and take `lock_for`; while energy flows, ask `recheck_running` at each reading.
"""

from market.policy.checks import window_of
from market.policy.decide import (
    Lock,
    asking_again,
    confirmable,
    countered,
    decide,
    decline,
    for_peer,
    is_tellworthy,
    lock_for,
)
from market.policy.energy import EnergyLimit, Floor, drawn_wh, floor
from market.policy.facts import INVERTER_LOSS, BatteryFacts, Case, Commitments, Window
from market.policy.owner import Departure, ExposureLimits, OwnerPolicy, StrangerRule
from market.policy.running import Running, allowed_power_w, recheck_running

__all__ = [
    "INVERTER_LOSS",
    "BatteryFacts",
    "Case",
    "Commitments",
    "Departure",
    "EnergyLimit",
    "ExposureLimits",
    "Floor",
    "Lock",
    "OwnerPolicy",
    "Running",
    "StrangerRule",
    "Window",
    "allowed_power_w",
    "asking_again",
    "confirmable",
    "countered",
    "decide",
    "decline",
    "drawn_wh",
    "floor",
    "for_peer",
    "is_tellworthy",
    "lock_for",
    "recheck_running",
    "window_of",
]
