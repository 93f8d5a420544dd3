"""Both sides of a path on one plant: faults, crossed cables, dead nodes, silent devices."""

import pytest

from market.terms import PlugStep, Profile
from market.units import Role
from tests.support.power_harness import TICK_MS, closings, make_bench, pattern_for, powers
from v2xnode.devices.interface import Permit, Precharge, Unlock
from v2xnode.devices.plant.terminal import Fault
from v2xnode.power.events import (
    CHADEMO_WELD_LIMIT_MV,
    Begin,
    Command,
    Milestone,
    PeerPlug,
    Phase,
    PlugReport,
    Sensed,
    Stop,
    Tick,
)
from v2xnode.power.profiles import PROFILES
from v2xnode.power.steps import Step

ALL = pytest.mark.parametrize("profile", Profile)
DC = pytest.mark.parametrize("profile", [Profile.DC_BPT, Profile.DC_CONVERTER])
AC = pytest.mark.parametrize("profile", [Profile.AC_OUTLET, Profile.AC_ISLAND])


@ALL
@pytest.mark.parametrize("latency_ms", [0, 1_000])
def test_crossed_cables_are_a_wrong_plug_for_all_four_and_nothing_closes(profile: Profile, latency_ms: int) -> None:
    bench = make_bench(profile, pairs=2)
    bench.latency_ms = latency_ms
    bench.plant.cross("w1", "w2")
    bench.begin()
    bench.allow()
    bench.run(60_000)
    assert [seat.faults for seat in bench.seats] == [["wrong_plug"]] * 4
    assert closings(bench) == []
    assert bench.plant.log.of("permit") == []
    assert all(seat.machine.phase is Phase.ENDED for seat in bench.seats)


@ALL
@pytest.mark.parametrize("permit_ms", [1_000, 3_000])
def test_a_killed_node_leaves_0_w_within_its_permit(profile: Profile, permit_ms: int) -> None:
    for dead in range(2):
        bench = make_bench(profile, permit_ms=permit_ms)
        seat = bench.seats[dead]
        if seat.begin.role not in PROFILES[profile].needs_permit:
            continue
        bench.energise()
        bench.run(4_000)
        killed_ms = bench.plant.now_ms
        seat.alive = False
        bench.plant.advance(killed_ms + permit_ms)
        for terminal in ("p1", "c1"):
            last = bench.plant.log.of("power", terminal)[-1]
            assert last["power_w"] == 0
            assert killed_ms < last["at_ms"] <= killed_ms + permit_ms
        ran_out = bench.plant.log.of("permit_ended", seat.terminal)[-1]
        assert ran_out["at_ms"] == bench.plant.log.of("permit", seat.terminal)[-1]["until_ms"]


@AC
def test_a_killed_client_leaves_the_lights_on(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.seats[1].alive = False
    bench.run(30_000)
    assert powers(bench)[0] > 0


@ALL
def test_both_killed_leaves_0_w(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.plant.advance(bench.plant.now_ms + 3_000)
    assert powers(bench) == [0, 0]


@ALL
def test_without_any_plug_message_it_ends_unproven(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.carries = lambda _, __: False
    bench.begin()
    bench.allow()
    bench.run(90_000)
    assert "plug_unproven" in bench.seats[0].faults + bench.seats[1].faults
    assert closings(bench) == []


ENERGISED_FAULTS = [
    (Profile.DC_BPT, "p1", Fault.PULLED, "unplugged"),
    (Profile.DC_BPT, "c1", Fault.INSULATION, "insulation_lost"),
    (Profile.DC_BPT, "c1", Fault.HOT, "connector_hot"),
    (Profile.DC_BPT, "p1", Fault.EARTH, "earth_lost"),
    (Profile.DC_BPT, "p1", Fault.SECOND_MONITOR, "monitor_conflict"),
    (Profile.DC_BPT, "p1", Fault.OVERVOLTAGE, "overvoltage"),
    (Profile.DC_CONVERTER, "p1", Fault.PILOT, "pilot_lost"),
    (Profile.DC_CONVERTER, "p1", Fault.DEVICE, "device_fault"),
    (Profile.AC_OUTLET, "p1", Fault.RCD, "rcd_tripped"),
    (Profile.AC_OUTLET, "p1", Fault.EARTH, "earth_lost"),
    (Profile.AC_ISLAND, "c1", Fault.GRID_CLOSED, "island_lost"),
    (Profile.AC_ISLAND, "c1", Fault.GRID_LIVE, "island_lost"),
    (Profile.AC_ISLAND, "c1", Fault.UNBONDED, "neutral_lost"),
]


@pytest.mark.parametrize(("profile", "terminal", "fault", "code"), ENERGISED_FAULTS)
def test_a_fault_while_energised_is_named_and_0_w_at_the_next_look(
    profile: Profile, terminal: str, fault: Fault, code: str
) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.run(3_000)
    bench.plant.inject(terminal, fault)
    bench.step()
    assert powers(bench) == [0, 0]
    seat = next(seat for seat in bench.seats if seat.terminal == terminal)
    assert seat.faults == [code]


def test_a_converter_that_follows_nothing_is_caught_within_the_declared_delay() -> None:
    bench = make_bench(Profile.DC_CONVERTER)
    bench.energise(max_power_w=1_000)
    for terminal in ("p1", "c1"):
        bench.plant.inject(terminal, Fault.OVERPOWER)
    bench.run(1_000 + 2 * TICK_MS)
    assert powers(bench) == [0, 0]
    assert "power_above_limit" in bench.seats[0].faults + bench.seats[1].faults


RISING_FAULTS = [
    (Profile.DC_BPT, "c1", Fault.LOCK_JAM, "lock_failed", Step.LOCK),
    (Profile.DC_BPT, "c1", Fault.INSULATION, "insulation_low", Step.CABLE_CHECK),
    (Profile.DC_BPT, "p1", Fault.DEAF, "pattern_failed", Step.PATTERN),
    (Profile.DC_BPT, "p1", Fault.REVERSED, "polarity_reversed", Step.PRECHARGE),
    (Profile.DC_BPT, "c1", Fault.PRECHARGE_SHORT, "precharge_current", Step.PRECHARGE),
    (Profile.DC_BPT, "p1", Fault.STUCK_OPEN, "contactor_stuck", Step.CLOSE),
    (Profile.DC_CONVERTER, "p1", Fault.STUCK_OPEN, "own_contactor_stuck", Step.OWN_CLOSE),
    (Profile.AC_OUTLET, "p1", Fault.EARTH, "earth_missing", Step.EARTH),
    (Profile.AC_ISLAND, "c1", Fault.GRID_CLOSED, "island_unproven", Step.ISLAND),
    (Profile.AC_ISLAND, "c1", Fault.GRID_LIVE, "island_unproven", Step.ISLAND),
    (Profile.AC_ISLAND, "c1", Fault.UNBONDED, "neutral_unbonded", Step.BOND),
]


@pytest.mark.parametrize(("profile", "terminal", "fault", "code", "step"), RISING_FAULTS)
def test_a_fault_on_the_way_up_stops_it_at_its_own_step(
    profile: Profile, terminal: str, fault: Fault, code: str, step: Step
) -> None:
    bench = make_bench(profile)
    bench.plant.inject(terminal, fault)
    seat = next(seat for seat in bench.seats if seat.terminal == terminal)
    bench.begin()
    bench.allow()
    steps = []
    while not seat.faults and bench.plant.now_ms < 60_000:
        steps.append(seat.machine.step)
        bench.step()
    assert seat.faults == [code]
    assert steps[-1] <= step
    assert Milestone.ENERGISED not in seat.reached
    bench.run(40_000)
    assert powers(bench) == [0, 0]


@DC
def test_a_welded_contactor_keeps_both_connectors_locked(profile: Profile) -> None:
    follower = 0 if PROFILES[profile].master is Role.CLIENT else 1
    bench = make_bench(profile)
    bench.energise()
    bench.plant.inject(bench.seats[follower].terminal, Fault.WELD)
    bench.stop_all(Stop("owner"))
    bench.run(30_000)
    for seat in bench.seats:
        assert seat.faults == ["contactor_welded"]
        assert seat.reached[-1] is Milestone.HELD_LOCKED
        assert bench.plant.sense(seat.terminal).locked
    assert powers(bench) == [0, 0]
    assert bench.plant.log.of("violation") == []


def test_a_chademo_connector_waits_for_10_v() -> None:
    bench = make_bench(Profile.DC_BPT)
    for seat in bench.seats:
        seat.begin = Begin(
            profile=seat.begin.profile,
            role=seat.begin.role,
            own=seat.begin.own,
            peer=seat.begin.peer,
            pattern=seat.begin.pattern,
            weld_limit_mv=CHADEMO_WELD_LIMIT_MV,
        )
    bench.energise()
    bench.stop_all(Stop("owner"))
    for _ in range(100):
        before_mv = bench.plant.sense("c1").output_voltage_mv
        outputs = bench.feed(bench.seats[1], Sensed(bench.plant.sense("c1")))
        if Command(Unlock()) in outputs:
            assert before_mv < CHADEMO_WELD_LIMIT_MV
            return
        bench.feed(bench.seats[0], Sensed(bench.plant.sense("p1")))
        bench.plant.advance(bench.plant.now_ms + 10)
    pytest.fail("never unlocked")


def test_a_charger_that_falls_silent_gets_no_permit_and_is_named() -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise()
    machine = bench.seats[0].machine
    now_ms = bench.plant.now_ms
    outputs = [output for later in range(0, 4_000, 100) for output in machine.handle(Tick(), now_ms + later)]
    renewed = [output for output in outputs if isinstance(output, Command) and isinstance(output.command, Permit)]
    assert len(renewed) <= 1
    assert [output.code for output in outputs if hasattr(output, "code")][:1] == ["sense_stale"]


def test_a_peers_voltage_outside_our_limits_is_never_put_on_the_cable() -> None:
    bench = make_bench(Profile.DC_BPT)
    client = bench.seats[1]
    bench.begin()
    bench.allow()
    bench.carries = lambda _, __: False
    while client.machine.step is not Step.VERIFY:
        bench.step()
    lie = PlugReport(1, PlugStep.VERIFIED, pattern_for(1), 900_000)
    outputs = bench.feed(client, PeerPlug(lie))
    assert client.faults == ["peer_voltage"]
    assert not any(isinstance(output, Command) and isinstance(output.command, Precharge) for output in outputs)


def test_limits_that_do_not_overlap_end_before_the_lock() -> None:
    bench = make_bench(Profile.DC_BPT)
    seat = bench.seats[0]
    own = seat.begin.own
    high = type(own)(600_000, 900_000, 32_000, 7_000)
    seat.begin = Begin(profile=Profile.DC_BPT, role=seat.begin.role, own=own, peer=high)
    bench.feed(seat, seat.begin)
    assert seat.faults == ["incompatible"]
    assert bench.plant.log.of("lock") == []
