"""The steps of each profile as tables: what is commanded, what must be seen, the limit of time, the source, the fault.

A row's acts are commanded when it begins; it is done when its check holds on a look taken after them. `t...` are the
time steps of FLOW deliverable 3.1, section 1.1 (after ISO 15118 and IEC 61851-23).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from market.terms import PlugStep, Profile
from v2xnode.devices.interface import (
    CableCheck,
    Close,
    Emit,
    Insulation,
    Lock,
    Open,
    PathCommand,
    Pilot,
    PilotReady,
    Port,
    Precharge,
    SetPower,
    Unlock,
)
from v2xnode.power.events import Milestone
from v2xnode.power.picture import Picture

PEER_MS = 30_000
"""For what needs the peer: a few messages on the slowest bearer (LoRa) and their repetitions."""

RECEIPT_MS = 120_000
"""For Receipt 0 and, between strangers, for the owner's yes."""

MIN_INSULATION_OHM = 20_000
"""CHAdeMO chargers' floor (deliverable 3.1, section 1.2, step 3); asked of all."""


class Step(IntEnum):
    """In the order in which any profile goes through them."""

    COMPATIBILITY = 1
    LOCK = 2
    BEFORE_CONTACT = 3
    ISLAND = 4
    BOND = 5
    CONTACT = 6
    EARTH = 7
    CABLE_CHECK = 8
    RCD = 9
    PATTERN = 10
    VERIFY = 11
    PEER_VERIFIED = 12
    ALLOWED = 13
    OWN_PRECHARGE = 14
    OWN_CLOSE = 15
    PRECHARGE = 16
    PEER_CLOSED = 17
    LIVE = 18
    CLOSE = 19
    DELIVERY = 20
    RAMP = 21
    OFF = 22
    WELD_CHECK = 23
    UNLOCK = 24


Check = Callable[[Picture, int], bool]
Act = Callable[[Picture], tuple[PathCommand, ...]]


def _nothing(_: Picture) -> tuple[PathCommand, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step. threshold: what the check compares with, in the unit that its source names. senses: the check needs
    a look at the path. energises: the permit is held from here on."""

    step: Step
    check: Check
    threshold: int
    source: str
    limit_ms: int
    fault: str
    act: Act = _nothing
    senses: bool = True
    energises: bool = False
    reached: Milestone | None = None
    tells: PlugStep | None = None


# Checks


def compatible(see: Picture, _: int) -> bool:
    own, peer = see.setting.own, see.setting.peer
    return max(own.min_voltage_mv, peer.min_voltage_mv) <= min(own.max_voltage_mv, peer.max_voltage_mv)


def insulated(see: Picture, ohm_per_volt: int) -> bool:
    """The threshold at the highest voltage that both sides know, and CHAdeMO's floor in any case."""
    volts = -(-min(see.setting.own.max_voltage_mv, see.setting.peer.max_voltage_mv) // 1000)
    enough = max(ohm_per_volt * volts, MIN_INSULATION_OHM)
    return see.sense.insulation is Insulation.VALID and see.sense.insulation_ohm >= enough


def bus_matches(see: Picture, within_mv: int) -> bool:
    battery_mv = see.sense.battery_voltage_mv
    return battery_mv is not None and abs(see.sense.bus_voltage_mv - battery_mv) < within_mv


def cable_matches(see: Picture, within_mv: int) -> bool:
    return see.peer is not None and abs(see.sense.output_voltage_mv - see.peer.voltage_mv) < within_mv


def below(see: Picture, limit_mv: int) -> bool:
    return abs(see.sense.output_voltage_mv) < limit_mv


def unwelded(see: Picture, limit_mv: int) -> bool:
    return below(see, min(limit_mv, see.setting.weld_limit_mv))


def mains_live(see: Picture, tolerance_permille: int) -> bool:
    """Within the tolerance of 230 V, and within our own limits."""
    own, voltage_mv = see.setting.own, see.sense.output_voltage_mv
    proper = abs(voltage_mv - 230_000) <= 230 * tolerance_permille
    return proper and own.min_voltage_mv <= voltage_mv <= own.max_voltage_mv


def is_off(see: Picture, _: int) -> bool:
    look = see.sense
    return not look.contactor_closed and look.power_w == 0 and not (see.is_master and look.ready)


def island_proven(see: Picture, _: int) -> bool:
    return see.sense.grid_open is True and see.sense.grid_dead is True


def peer_at(step: PlugStep) -> Check:
    return lambda see, _: see.peer_step is not None and see.peer_step >= step


# Acts


def _hold(*commands: PathCommand) -> Act:
    """The permit, then these."""
    return lambda see: (*((see.permit(),) if see.needs_permit else ()), *commands)


def _precharge(see: Picture) -> tuple[PathCommand, ...]:
    return see.permit(), Precharge(see.peer.voltage_mv if see.peer is not None else 0)


def _precharge_own(see: Picture) -> tuple[PathCommand, ...]:
    return see.permit(), Precharge(see.sense.battery_voltage_mv or 0, Port.BUS)


def _emit(see: Picture) -> tuple[PathCommand, ...]:
    return (Emit(see.pattern or 0),)


def _contact(see: Picture) -> tuple[PathCommand, ...]:
    """The follower's monitor leaves the cable alone before the master is told to go on."""
    return () if see.is_master else (CableCheck(False), PilotReady(True))


# Rows that several profiles share

COMPATIBILITY = Row(
    step=Step.COMPATIBILITY, check=compatible, threshold=0, source="t1: limits overlap (mV)", limit_ms=0,
    fault="incompatible", senses=False,
)  # fmt: skip
LOCK = Row(
    step=Step.LOCK, act=lambda _: (Lock(),), check=lambda see, _: see.sense.locked, threshold=1,
    source="IEC 61851-23: locked before energy", limit_ms=5_000, fault="lock_failed", reached=Milestone.LOCKED,
)  # fmt: skip
BEFORE_CONTACT = Row(
    step=Step.BEFORE_CONTACT, check=below, threshold=60_000, source="t1b: output below 60 V (mV)", limit_ms=2_000,
    fault="voltage_before_contact",
)  # fmt: skip
ISLAND = Row(
    step=Step.ISLAND, check=island_proven, threshold=1, limit_ms=5_000, fault="island_unproven",
    source="IEC 60364-5-55 551: live feedback that the switch is open and the grid side dead",
)  # fmt: skip
BOND = Row(
    step=Step.BOND, check=lambda see, _: see.sense.neutral_bonded is True, threshold=1, limit_ms=5_000,
    source="IEC 60364-5-55 551: neutral-earth bond of the island", fault="neutral_unbonded",
)  # fmt: skip
CONTACT = Row(
    step=Step.CONTACT, act=_contact, check=lambda see, _: see.sense.pilot is Pilot.READY, threshold=1,
    source="t2: pilot state C", limit_ms=PEER_MS, fault="contact_missing",
)  # fmt: skip
EARTH = Row(
    step=Step.EARTH, check=lambda see, _: see.sense.earth_ok, threshold=1,
    source="IEC 61851-1: protective earth continuous", limit_ms=2_000, fault="earth_missing",
)  # fmt: skip
CABLE_CHECK = Row(
    step=Step.CABLE_CHECK, act=lambda see: (CableCheck(True),) if see.is_master else (),
    check=lambda see, ohm: insulated(see, ohm) and see.sense.ready, threshold=100,
    source="t3, t4: above 100 ohm per volt, Valid, then Ready; CHAdeMO at least 20 kohm", limit_ms=PEER_MS,
    fault="cable_check_late", reached=Milestone.CABLE_CHECKED,
)  # fmt: skip
RCD = Row(
    step=Step.RCD, act=lambda _: (CableCheck(True),), check=lambda see, _: see.sense.rcd_ok is True, threshold=1,
    source="IEC 62752, IEC 61851-1: residual current device tested", limit_ms=5_000, fault="rcd_test_failed",
    reached=Milestone.CABLE_CHECKED,
)  # fmt: skip
PATTERN_OUT = Row(
    step=Step.PATTERN, act=_emit, check=lambda see, _: see.sense.pattern_read == see.pattern, threshold=1,
    source="the cable is bound to the agreement: emitted, and read back", limit_ms=10_000, fault="pattern_failed",
    tells=PlugStep.PATTERN,
)  # fmt: skip
PATTERN_IN = Row(
    step=Step.PATTERN, check=lambda see, _: see.sense.pattern_read is not None, threshold=1,
    source="the cable is bound to the agreement: read", limit_ms=PEER_MS, fault="pattern_failed",
    tells=PlugStep.PATTERN,
)  # fmt: skip
VERIFY = Row(
    step=Step.VERIFY, check=lambda see, _: see.peer_pattern is not None and see.peer_pattern == see.pattern,
    threshold=1, source="both sides read the same on the cable", limit_ms=PEER_MS, fault="plug_unproven",
    reached=Milestone.PLUG_VERIFIED, tells=PlugStep.VERIFIED,
)  # fmt: skip
PEER_VERIFIED = Row(
    step=Step.PEER_VERIFIED, check=peer_at(PlugStep.VERIFIED), threshold=PlugStep.VERIFIED, senses=False,
    source="both sides compared", limit_ms=PEER_MS, fault="plug_unproven_by_peer", reached=Milestone.READY_FOR_POWER,
)  # fmt: skip
ALLOWED = Row(
    step=Step.ALLOWED, check=lambda see, _: see.allowed_w is not None, threshold=0, senses=False,
    source="Receipt 0 before power (protocol, Messages)", limit_ms=RECEIPT_MS, fault="not_allowed",
)  # fmt: skip
OWN_PRECHARGE = Row(
    step=Step.OWN_PRECHARGE, act=_precharge_own, check=bus_matches, threshold=20_000, energises=True,
    source="t5-t7 at the converter's own side: within 20 V (mV)", limit_ms=10_000, fault="own_precharge_failed",
)  # fmt: skip
OWN_CLOSE = Row(
    step=Step.OWN_CLOSE, act=_hold(Close()), check=lambda see, _: see.sense.contactor_closed, threshold=1,
    energises=True, source="t7: contactor feedback", limit_ms=2_000, fault="own_contactor_stuck",
)  # fmt: skip
PRECHARGE_OUT = Row(
    step=Step.PRECHARGE, act=_precharge, check=cable_matches, threshold=20_000, energises=True,
    source="t5, t6: within 20 V of the follower's battery (mV)", limit_ms=10_000, fault="precharge_failed",
    tells=PlugStep.PRECHARGED,
)  # fmt: skip
PRECHARGE_IN = Row(
    step=Step.PRECHARGE, act=_hold(), threshold=20_000, energises=True,
    check=lambda see, mv: peer_at(PlugStep.PRECHARGED)(see, 0) and bus_matches(see, mv),
    source="t6, t7: within 20 V of our battery (mV)", limit_ms=RECEIPT_MS, fault="precharge_failed",
)  # fmt: skip
PEER_CLOSED = Row(
    step=Step.PEER_CLOSED, check=peer_at(PlugStep.CLOSED), threshold=PlugStep.CLOSED, senses=False, energises=True,
    source="t7: the vehicle closed its disconnecting device", limit_ms=PEER_MS, fault="peer_contactor",
)  # fmt: skip
LIVE_OUT = Row(
    step=Step.LIVE, check=mains_live, threshold=100, energises=True, source="EN 50160: 230 V within 10 % (permille)",
    limit_ms=2_000, fault="supply_missing",
)  # fmt: skip
LIVE_IN = Row(
    step=Step.LIVE, check=mains_live, threshold=100, source="EN 50160: 230 V within 10 % (permille)",
    limit_ms=RECEIPT_MS, fault="supply_missing",
)  # fmt: skip
CLOSE = Row(
    step=Step.CLOSE, act=_hold(Close()), check=lambda see, _: see.sense.contactor_closed, threshold=1, energises=True,
    source="t7: contactor feedback", limit_ms=2_000, fault="contactor_stuck",
)  # fmt: skip

# The profiles: rows of the master and of the follower, in order

DC_OPENING = (COMPATIBILITY, LOCK, BEFORE_CONTACT, CONTACT, CABLE_CHECK)
AGREEING = (VERIFY, PEER_VERIFIED, ALLOWED)
DC_FOLLOWER = (*DC_OPENING, PATTERN_IN, *AGREEING, PRECHARGE_IN, CLOSE)
AC_OPENING = (COMPATIBILITY, LOCK, BEFORE_CONTACT, CONTACT, EARTH)
AC_MASTER = (*AC_OPENING, RCD, PATTERN_OUT, *AGREEING, OWN_CLOSE, LIVE_OUT)
AC_FOLLOWER = (*AC_OPENING, PATTERN_IN, *AGREEING, LIVE_IN, CLOSE)
ISLAND_FOLLOWER = (*AC_OPENING[:3], ISLAND, BOND, *AC_OPENING[3:], PATTERN_IN, *AGREEING, LIVE_IN, CLOSE)

RISING: dict[Profile, dict[bool, tuple[Row, ...]]] = {
    Profile.DC_BPT: {
        True: (*DC_OPENING, PATTERN_OUT, *AGREEING, PRECHARGE_OUT, PEER_CLOSED, CLOSE),
        False: DC_FOLLOWER,
    },
    Profile.DC_CONVERTER: {
        True: (*DC_OPENING, PATTERN_OUT, *AGREEING, OWN_PRECHARGE, OWN_CLOSE, PRECHARGE_OUT, PEER_CLOSED),
        False: DC_FOLLOWER,
    },
    Profile.AC_OUTLET: {True: AC_MASTER, False: AC_FOLLOWER},
    Profile.AC_ISLAND: {True: AC_MASTER, False: ISLAND_FOLLOWER},
}
"""By profile, then by whether this side is the master. After the last row the path delivers."""

RAMP = Row(
    step=Step.RAMP, act=lambda _: (SetPower(0),), check=lambda see, ma: abs(see.sense.current_ma) <= ma,
    threshold=1_000, source="t10, t11: 0 A before opening (mA, accuracy of the measurement)", limit_ms=5_000,
    fault="ramp_stuck", energises=True,
)  # fmt: skip
OFF = Row(
    step=Step.OFF, act=lambda _: (Open(),), check=is_off, threshold=0,
    source="t12, t13: output off, contactor open, Not Ready within 2 s", limit_ms=2_000, fault="off_stuck",
    reached=Milestone.POWERED_OFF,
)  # fmt: skip
WELD_CHECK = Row(
    step=Step.WELD_CHECK, check=unwelded, threshold=60_000, limit_ms=12_000, fault="contactor_welded",
    source="t14, t16: below 60 V, CHAdeMO 10 V (mV); the peer's permit may outlive ours by 10 s",
)  # fmt: skip
UNLOCK = Row(
    step=Step.UNLOCK, act=lambda _: (Unlock(),), check=lambda see, _: not see.sense.locked, threshold=0,
    source="t17, t18: unlock, then leave", limit_ms=5_000, fault="unlock_failed", reached=Milestone.UNLOCKED,
)  # fmt: skip

FALLING = (RAMP, OFF, WELD_CHECK, UNLOCK)
"""The way down from any step: an AC load can't be ramped, so AC begins at OFF, and so does every fault."""
