"""What has to hold all the time between two steps: one row each, with its threshold, source and own fault code."""

from collections.abc import Callable
from dataclasses import dataclass

from market.terms import PlugStep, Profile
from v2xnode.devices.interface import Insulation, Pilot
from v2xnode.power.picture import Picture
from v2xnode.power.steps import Check, Step, insulated, island_proven

Applies = Callable[[Picture], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """check: true while all is well. first, last: the steps between which it watches, both included.
    ends: what it finds is the other side's orderly end and no fault; `code` is then the reason."""

    code: str
    first: Step
    check: Check
    threshold: int = 0
    source: str
    last: Step = Step.RAMP
    applies: Applies = lambda _: True
    senses: bool = True
    ends: bool = False


def _dc(see: Picture) -> bool:
    return see.profile.dc


def _island_client(see: Picture) -> bool:
    return see.profile.profile is Profile.AC_ISLAND and see.is_client


def _same_pattern(see: Picture, _: int) -> bool:
    return see.peer_pattern is None or see.peer_pattern == see.pattern


def _peer_voltage(see: Picture, _: int) -> bool:
    if see.peer_step is None or see.peer_step < PlugStep.VERIFIED or see.peer is None:
        return True
    return see.setting.own.min_voltage_mv <= see.peer.voltage_mv <= see.setting.own.max_voltage_mv


def _outwards(see: Picture) -> int:
    """Power in the agreed direction, positive."""
    return -see.sense.power_w if see.is_client else see.sense.power_w


def power_tolerance_w(power_w: int, permille: int) -> int:
    """What control and measurement may be off: a share, and 50 W in any case."""
    return max(50, power_w * permille // 1000)


def _power_bound(see: Picture, permille: int) -> bool:
    return abs(see.sense.power_w) <= see.bound_w + power_tolerance_w(see.bound_w, permille)


GUARDS = (
    # The plug, before all that follows from a lost one
    Guard(code="unplugged", first=Step.BEFORE_CONTACT, check=lambda see, _: see.sense.plugged,
          source="IEC 61851-1: proximity, at all times"),
    Guard(code="lock_lost", first=Step.BEFORE_CONTACT, check=lambda see, _: see.sense.locked,
          source="IEC 61851-23: locked while live"),
    Guard(code="wrong_plug", first=Step.VERIFY, check=_same_pattern,
          source="the cable is bound to the agreement"),
    Guard(code="device_fault", first=Step.BEFORE_CONTACT, check=lambda see, _: not see.sense.faults,
          source="CHAdeMO stop cause: hardware error (deliverable 3.1, section 1.2, step 6)"),
    Guard(code="pilot_lost", first=Step.CABLE_CHECK, check=lambda see, _: see.sense.pilot is not Pilot.FAULT,
          source="IEC 61851-1: pilot state F"),
    Guard(code="earth_lost", first=Step.CABLE_CHECK, check=lambda see, _: see.sense.earth_ok,
          source="IEC 61851-1: protective earth, at all times"),
    # An island
    Guard(code="island_lost", first=Step.CONTACT, check=island_proven, applies=_island_client,
          source="IEC 60364-5-55 551: off when the proof is lost"),
    Guard(code="neutral_lost", first=Step.CONTACT, check=lambda see, _: see.sense.neutral_bonded is True,
          applies=_island_client, source="IEC 60364-5-55 551: off when the bond is lost"),
    # Insulation and residual current
    Guard(code="insulation_low", first=Step.CABLE_CHECK, last=Step.CABLE_CHECK, applies=_dc,
          check=lambda see, _: see.sense.insulation is not Insulation.FAULT, source="t3: reported not Valid"),
    Guard(code="rcd_tripped", first=Step.PATTERN, check=lambda see, _: see.sense.rcd_ok is not False,
          source="IEC 62752: tripped"),
    # The other side's orderly end looks like a failure to what comes below, so it is looked for before that
    Guard(code="peer_ended", first=Step.PEER_VERIFIED, last=Step.DELIVERY, ends=True,
          check=lambda see, _: see.sense.pilot is not Pilot.PLUGGED, applies=lambda see: see.is_master,
          source="t14: pilot back to state B"),
    Guard(code="insulation_lost", first=Step.PATTERN, threshold=100, applies=lambda see: _dc(see) and see.is_master,
          check=insulated, source="t3, to the end: above 100 ohm per volt"),
    Guard(code="monitor_conflict", first=Step.PATTERN, applies=_dc,
          check=lambda see, _: see.sense.monitor_on is see.is_master,
          source="t15: exactly one insulation monitor, the master's"),
    Guard(code="supply_ended", first=Step.PEER_VERIFIED, last=Step.DELIVERY, ends=True,
          check=lambda see, _: see.sense.ready, applies=lambda see: not see.is_master, source="t13: Not Ready"),
    # Pre-charge
    Guard(code="polarity_reversed", first=Step.OWN_PRECHARGE, check=lambda see, mv: see.sense.output_voltage_mv >= mv,
          threshold=-5_000, applies=_dc, source="t6: polarity (mV, noise left out)"),
    Guard(code="peer_voltage", first=Step.ALLOWED, last=Step.PRECHARGE, senses=False, check=_peer_voltage,
          applies=lambda see: _dc(see) and see.is_master, source="t1, t5: requested voltage within our limits"),
    Guard(code="precharge_current", first=Step.OWN_PRECHARGE, last=Step.PEER_CLOSED, threshold=2_000, applies=_dc,
          check=lambda see, ma: abs(see.sense.current_ma) <= ma, source="t5: at most 2 A (mA)"),
    # Power delivery
    Guard(code="permit_lost", first=Step.OWN_PRECHARGE, check=lambda see, _: see.sense.permit_left_ms > 0,
          applies=lambda see: see.needs_permit, source="power permit: not renewed, the device opens by itself"),
    Guard(code="contactor_opened", first=Step.DELIVERY, last=Step.DELIVERY, source="contactor feedback",
          check=lambda see, _: see.sense.contactor_closed),
    Guard(code="overvoltage", first=Step.OWN_PRECHARGE, source="CHAdeMO stop cause: overvoltage (section 1.2, step 6)",
          check=lambda see, _: abs(see.sense.output_voltage_mv) <= see.setting.own.max_voltage_mv),
    Guard(code="undervoltage", first=Step.DELIVERY, last=Step.DELIVERY,
          source="CHAdeMO stop cause: undervoltage (section 1.2, step 6)",
          check=lambda see, _: see.sense.output_voltage_mv >= see.setting.own.min_voltage_mv),
    Guard(code="connector_hot", first=Step.CONTACT, threshold=90_000,
          check=lambda see, limit: see.sense.connector_millicelsius <= limit,
          source="IEC 62196-1: 50 K over an ambient of 40 degrees (millicelsius)"),
    Guard(code="current_above_limit", first=Step.DELIVERY, threshold=1_030,
          source="t1, t9: both sides' limits (permille)",
          check=lambda see, permille: abs(see.sense.current_ma) * 1000 <= _most_ma(see) * permille),
    Guard(code="power_reversed", first=Step.DELIVERY, threshold=-50, source="the permit's direction (W)",
          check=lambda see, watts: _outwards(see) >= watts),
    Guard(code="power_above_limit", first=Step.DELIVERY, threshold=30, check=_power_bound,
          source="t8, t9: follows the request within the declared delay (permille of tolerance, assumed)"),
)  # fmt: skip
"""In the order in which they are asked: the first that does not hold names the fault."""


def _most_ma(see: Picture) -> int:
    return min(see.setting.own.max_current_ma, see.setting.peer.max_current_ma)


def first_broken(see: Picture, step: Step, *, looked: bool) -> Guard | None:
    """The first guard of this step that does not hold. looked: a look was taken since the step began."""
    for guard in GUARDS:
        watching = guard.first <= step <= guard.last and guard.applies(see) and (looked or not guard.senses)
        if watching and not guard.check(see, guard.threshold):
            return guard
    return None
