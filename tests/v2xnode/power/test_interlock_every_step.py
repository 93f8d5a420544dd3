"""At each step of each profile and role: every sense broken, missing or frozen, every device refusing.

The moments are those of a session in which all goes well; what is wrong comes at the next look.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from market.terms import PlugStep, Profile
from market.units import Role
from tests.support.power_breaks import BREAKS, Break, Moment, moments
from v2xnode.devices.interface import Close, Open, Permit, Precharge
from v2xnode.devices.interface import SetPower as SetDevicePower
from v2xnode.power.events import (
    Command,
    CommandRefused,
    Ending,
    Fault,
    Output,
    PeerPlug,
    Phase,
    PlugReport,
    Sensed,
    Stop,
    Tick,
)
from v2xnode.power.guards import GUARDS, Guard
from v2xnode.power.interlock import Interlock
from v2xnode.power.profiles import PROFILES
from v2xnode.power.steps import RISING, Step

ALL = pytest.mark.parametrize("profile", Profile)
LIVE = (Phase.RISING, Phase.DELIVERING)
RESTING = (Phase.ENDED, Phase.HELD)


def commands(outputs: tuple[Output, ...]) -> list[object]:
    return [each.command for each in outputs if isinstance(each, Command)]


def energising(outputs: tuple[Output, ...]) -> list[object]:
    """What lets power flow, or may."""
    asked = commands(outputs)
    return [
        each
        for each in asked
        if isinstance(each, Close | Permit | Precharge) or (isinstance(each, SetDevicePower) and each.power_w > 0)
    ]


def reasons(outputs: tuple[Output, ...]) -> list[str]:
    return [
        each.code if isinstance(each, Fault) else each.reason for each in outputs if isinstance(each, Fault | Ending)
    ]


def watching(moment: Moment, broken: Break) -> list[Guard]:
    """The guards that have to see it."""
    machine = moment.machine
    if machine.phase not in LIVE and machine.step is not Step.RAMP:
        return []
    return [
        guard
        for guard in GUARDS
        if guard.code in broken.codes and guard.first <= machine.step <= guard.last and guard.applies(machine._see)
    ]


def broken_moments(profile: Profile) -> Iterator[tuple[Moment, Break, list[Guard]]]:
    for moment in moments(profile):
        for broken in BREAKS:
            yield moment, broken, watching(moment, broken)


@ALL
def test_the_moments_are_those_of_every_row(profile: Profile) -> None:
    """Or what follows would hold of nothing."""
    for role in Role:
        seen = {each.machine.step for each in moments(profile) if each.begin.role is role}
        rows = RISING[profile][PROFILES[profile].master is role]
        waits = {row.step for row in rows if row.senses}
        assert waits <= seen | {Step.COMPATIBILITY}
        assert {Step.DELIVERY, Step.OFF, Step.WELD_CHECK, Step.UNLOCK} <= seen


@ALL
def test_a_broken_guard_ends_it_at_this_very_look_and_is_named(profile: Profile) -> None:
    for moment, broken, guards in broken_moments(profile):
        if not guards:
            continue
        machine = moment.twin()
        outputs = machine.handle(Sensed(broken.change(moment.look, moment.begin)), moment.now_ms)
        where = (moment.begin.role.name, moment.machine.step.name, broken.codes, outputs)
        assert set(reasons(outputs)) & broken.codes, where
        assert machine.phase is Phase.FALLING, where
        if any(isinstance(each, Fault) for each in outputs):
            assert Open() in commands(outputs), where
            assert not energising(outputs), where
        else:
            assert Open() in commands(outputs) or SetDevicePower(0) in commands(outputs), where
            assert not [each for each in energising(outputs) if not isinstance(each, Permit)], where


@ALL
def test_a_broken_look_never_opens_the_way_to_more_than_a_good_one(profile: Profile) -> None:
    for moment, broken, guards in broken_moments(profile):
        if guards or moment.machine.step is Step.RAMP:  # while it ramps the permit is held
            continue
        good = energising(moment.twin().handle(Sensed(moment.look), moment.now_ms))
        bad = energising(moment.twin().handle(Sensed(broken.change(moment.look, moment.begin)), moment.now_ms))
        assert {type(each) for each in bad} <= {type(each) for each in good}, (moment.machine.step.name, broken.codes)


DELIVERING = {
    *("unplugged", "lock_lost", "device_fault", "pilot_lost", "earth_lost", "rcd_tripped", "contactor_opened"),
    *("overvoltage", "undervoltage", "connector_hot", "current_above_limit", "power_reversed", "power_above_limit"),
}
"""Watched on every side while power flows (docs/security.md, and the deliverable's stop causes)."""


@ALL
@pytest.mark.parametrize("role", list(Role))
def test_while_power_flows_all_this_is_watched(profile: Profile, role: Role) -> None:
    master, dc = PROFILES[profile].master is role, PROFILES[profile].dc
    expected = DELIVERING | ({"peer_ended"} if master else {"supply_ended"})
    expected |= {"polarity_reversed", "monitor_conflict"} if dc else set()
    expected |= {"insulation_lost"} if dc and master else set()
    expected |= {"permit_lost"} if role in PROFILES[profile].needs_permit else set()
    expected |= {"island_lost", "neutral_lost"} if (profile, role) == (Profile.AC_ISLAND, Role.CLIENT) else set()
    moment = next(
        each for each in moments(profile) if each.begin.role is role and each.machine.phase is Phase.DELIVERING
    )
    found: set[str] = set()
    for broken in BREAKS:
        outputs = moment.twin().handle(Sensed(broken.change(moment.look, moment.begin)), moment.now_ms)
        found |= set(reasons(outputs))
    assert found == expected


@ALL
def test_a_device_that_refuses_is_a_fault_at_every_step(profile: Profile) -> None:
    for moment in moments(profile):
        machine = moment.twin()
        outputs = machine.handle(CommandRefused("test"), moment.now_ms)
        if moment.machine.phase in LIVE or moment.machine.step is Step.RAMP:
            assert reasons(outputs) == ["device_refused"]
            assert Open() in commands(outputs)
        assert not energising(outputs)


@ALL
def test_another_pattern_from_the_peer_ends_it_at_every_step_from_verify_on(profile: Profile) -> None:
    for moment in moments(profile):
        machine = moment.twin()
        if machine.phase not in LIVE or machine.step < Step.VERIFY:
            continue
        other = PlugReport(machine._see.round, PlugStep.CLOSED, ((machine._see.pattern or 0) + 1) & 0xFFFF, 400_000)
        outputs = machine.handle(PeerPlug(other), moment.now_ms)
        outputs += machine.handle(Sensed(moment.look), moment.now_ms)
        assert reasons(outputs) == ["wrong_plug"], moment.machine.step.name
        assert not energising(outputs)


def left_alone(machine: Interlock, moment: Moment, look: Sensed | None) -> Iterator[tuple[int, tuple[Output, ...]]]:
    """What the machine does at its own deadlines, and with the same look five times a second if there is one."""
    now_ms, end_ms = moment.now_ms, moment.now_ms + 1_200_000
    while machine.phase not in RESTING and now_ms < end_ms:
        due_ms = machine.deadline_ms()
        assert due_ms is not None
        now_ms = max(now_ms + 1, due_ms) if look is None else now_ms + 200
        yield now_ms, machine.handle(Tick() if look is None else look, now_ms)


@ALL
@pytest.mark.parametrize("frozen", [False, True], ids=["missing", "frozen"])
def test_without_fresh_looks_no_permit_is_renewed_and_the_machine_comes_to_rest(profile: Profile, frozen: bool) -> None:
    for moment in moments(profile):
        machine = moment.twin()
        machine.handle(Sensed(moment.look), moment.now_ms)
        third_ms = moment.begin.permit_ms // 3
        for now_ms, outputs in left_alone(machine, moment, Sensed(moment.look) if frozen else None):
            if now_ms > moment.now_ms + third_ms:
                assert not energising(outputs), (moment.machine.step.name, now_ms - moment.now_ms)
        assert machine.phase in RESTING, moment.machine.step.name


@ALL
def test_a_stop_at_every_step_latches(profile: Profile) -> None:
    for moment in moments(profile):
        machine = moment.twin()
        machine.handle(Stop("test"), moment.now_ms)
        look = replace(moment.look, locked=False, contactor_closed=False, power_w=0, current_ma=0, ready=False)
        at_rest = replace(look, output_voltage_mv=0)
        for later in range(1, 20):
            fresh = replace(at_rest, at_ms=at_rest.at_ms + later)
            outputs = machine.handle(Sensed(fresh), moment.now_ms + 200 * later)
            assert not energising(outputs), moment.machine.step.name
        assert machine.phase is Phase.ENDED
