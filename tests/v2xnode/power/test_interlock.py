"""Both sides of a path on one plant: the way up and down, faults, crossed cables, dead nodes, lost messages."""

from itertools import pairwise

import pytest

from market.terms import PlugStep, Profile
from market.units import Role
from tests.support.power_harness import MAX_POWER_W, TICK_MS, Bench, make_bench, make_world, pattern_for
from v2xnode.devices.interface import Close, Direction, Permit, Precharge, Unlock
from v2xnode.devices.interface import SetPower as SetDevicePower
from v2xnode.devices.plant.terminal import Fault
from v2xnode.power.errors import NotNow, PatternMissing, WrongDirection
from v2xnode.power.events import (
    CHADEMO_WELD_LIMIT_MV,
    Begin,
    Command,
    Derated,
    Ending,
    Limit,
    Milestone,
    Pause,
    PeerPlug,
    Phase,
    PlugReport,
    PowerAllowed,
    Reached,
    Resume,
    Sensed,
    SetPower,
    Stop,
    Tick,
)
from v2xnode.power.interlock import PAUSE_LIMIT_MS, Interlock
from v2xnode.power.profiles import PROFILES
from v2xnode.power.steps import Step

ALL = pytest.mark.parametrize("profile", Profile)
DC = pytest.mark.parametrize("profile", [Profile.DC_BPT, Profile.DC_CONVERTER])
AC = pytest.mark.parametrize("profile", [Profile.AC_OUTLET, Profile.AC_ISLAND])


def powers(bench: Bench) -> list[int]:
    return [bench.plant.sense(seat.terminal).power_w for seat in bench.seats]


def closings(bench: Bench) -> list[str]:
    return [entry["terminal"] for entry in bench.plant.log.of("contactor") if entry["closed"]]


@ALL
def test_a_session_goes_up_delivers_and_comes_down_in_order(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.run(10_000)
    provider_w, client_w = powers(bench)
    assert 1_900 < -client_w <= provider_w <= MAX_POWER_W
    bench.stop_all(Stop("energy reached"))
    bench.run_until(Milestone.UNLOCKED)
    for seat in bench.seats:
        assert seat.faults == []
        assert seat.machine.phase is Phase.ENDED
        wanted = [Milestone.LOCKED, Milestone.PLUG_VERIFIED, Milestone.READY_FOR_POWER, Milestone.ENERGISED]
        wanted += [Milestone.POWERED_OFF, Milestone.UNLOCKED]
        assert [point for point in seat.reached if point is not Milestone.CABLE_CHECKED] == wanted
        assert not bench.plant.sense(seat.terminal).locked
    assert powers(bench) == [0, 0]
    assert bench.plant.log.of("violation") == []


@ALL
def test_a_stop_is_0_w_within_a_second(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.run(5_000)
    stopped_ms = bench.plant.now_ms
    bench.feed(bench.seats[0], Stop("owner"))
    bench.run(2_000)
    last = bench.plant.log.of("power", "p1")[-1]
    assert last["power_w"] == 0
    assert last["at_ms"] <= stopped_ms + 1_000


@ALL
def test_the_master_closes_nothing_before_power_is_allowed(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.begin()
    bench.run_until(Milestone.READY_FOR_POWER)
    bench.run(30_000)
    assert closings(bench) == []
    assert bench.plant.log.of("permit") == []
    bench.run(120_000)
    assert {code for seat in bench.seats for code in seat.faults} == {"not_allowed"}


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
def test_lost_plug_messages_are_told_again(profile: Profile) -> None:
    bench = make_bench(profile)
    told = {seat.terminal: 0 for seat in bench.seats}

    def two_of_three_are_lost(seat: object, _: PlugReport) -> bool:
        name = seat.terminal  # type: ignore[attr-defined]
        told[name] += 1
        return told[name] % 3 == 0

    bench.carries = two_of_three_are_lost
    bench.energise()
    assert [seat.faults for seat in bench.seats] == [[], []]


@ALL
def test_without_any_plug_message_it_ends_unproven(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.carries = lambda _, __: False
    bench.begin()
    bench.allow()
    bench.run(90_000)
    assert "plug_unproven" in bench.seats[0].faults + bench.seats[1].faults
    assert closings(bench) == []


@ALL
def test_a_lost_stop_ends_the_other_side_in_order(profile: Profile) -> None:
    for stopping in range(2):
        bench = make_bench(profile)
        bench.energise()
        bench.run(2_000)
        bench.feed(bench.seats[stopping], Stop("owner"))
        bench.run(20_000)
        other = bench.seats[1 - stopping]
        assert bench.seats[stopping].machine.phase is Phase.ENDED
        assert bench.seats[stopping].faults == []
        assert other.faults == []
        assert other.reached[-1] is Milestone.PAUSED
        bench.feed(other, Stop("peer"))
        bench.run(2_000)
        assert other.machine.phase is Phase.ENDED


@ALL
def test_a_pause_stays_locked_and_a_resume_repeats_the_cable_check(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.stop_all(Pause("owner"))
    bench.run_until(Milestone.PAUSED)
    assert powers(bench) == [0, 0]
    assert all(bench.plant.sense(seat.terminal).locked for seat in bench.seats)
    before = [len(seat.outputs) for seat in bench.seats]
    for seat in bench.seats:
        bench.feed(seat, Resume(None if seat.begin.pattern is None else pattern_for(1, 2)))
    bench.run(10_000)
    for seat, start in zip(bench.seats, before, strict=True):
        again = [output.milestone for _, output in seat.outputs[start:] if isinstance(output, Reached)]
        assert Milestone.PLUG_VERIFIED in again
        assert again[-1] is Milestone.ENERGISED
    assert powers(bench)[0] > 0
    assert bench.plant.log.of("violation") == []


def test_a_forgotten_pause_ends_by_itself() -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise()
    bench.stop_all(Pause("owner"))
    bench.run_until(Milestone.PAUSED)
    machine = bench.seats[0].machine
    deadline_ms = machine.deadline_ms()
    assert deadline_ms is not None
    assert deadline_ms <= bench.plant.now_ms + PAUSE_LIMIT_MS
    bench.plant.advance(deadline_ms)
    assert Ending("pause_expired") in bench.feed(bench.seats[0], Tick())
    bench.run(2_000)
    assert machine.phase is Phase.ENDED


@DC
def test_power_follows_what_is_set_and_never_what_is_above_the_limits(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.energise(max_power_w=5_000)
    provider = bench.seats[0]
    for wanted_w, most_w in ((1_000, 1_000), (50_000, 5_000)):
        bench.feed(provider, SetPower(wanted_w))
        bench.run(2_000)
        assert 0 < powers(bench)[0] <= most_w
    bench.feed(provider, Limit(800))
    bench.feed(provider, Limit(3_000))
    bench.run(2_000)
    assert 0 < powers(bench)[0] <= 800
    assert bench.plant.log.of("permit", "p1")[-1]["max_power_w"] == 800
    assert provider.faults == []


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


def test_permits_are_renewed_at_a_third_of_their_life_with_the_ceiling_and_our_direction() -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise(max_power_w=4_000)
    bench.run(12_000)
    permits = bench.plant.log.of("permit", "p1")[-10:]
    gaps = [b["until_ms"] - a["until_ms"] for a, b in pairwise(permits)]
    assert set(gaps) == {1_000}
    assert {permit["max_power_w"] for permit in permits} == {4_000}


def test_taper_is_told_once_and_not_at_every_look() -> None:
    bench = make_bench(Profile.DC_BPT, world=make_world(Profile.DC_BPT, energy_wh=3_001))
    bench.energise()
    bench.run(10_000)
    derated = [output for _, output in bench.seats[0].outputs if isinstance(output, Derated)]
    assert derated
    assert derated[0].reason == "empty"
    assert len(derated) < 25
    assert all(a.max_power_w > b.max_power_w for a, b in pairwise(derated))


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


def test_what_is_not_legal_raises_and_changes_nothing() -> None:
    bench = make_bench(Profile.DC_BPT)
    provider = bench.seats[0]
    machine = provider.machine
    for event in (SetPower(1), Stop("x"), Resume(), PowerAllowed(1, Direction.OUT)):
        with pytest.raises(NotNow):
            machine.handle(event, 0)
    assert machine.phase is Phase.IDLE
    wrong = Begin(profile=Profile.DC_BPT, role=provider.begin.role, own=provider.begin.own, peer=provider.begin.own,
                  pattern=7)  # fmt: skip
    with pytest.raises(PatternMissing):
        machine.handle(wrong, 0)
    assert machine.phase is Phase.IDLE
    machine.handle(provider.begin, 0)
    with pytest.raises(WrongDirection):
        machine.handle(PowerAllowed(1_000, Direction.IN), 0)


def test_a_stop_latches() -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise()
    bench.stop_all(Stop("owner"))
    bench.run(20_000)
    machine = bench.seats[0].machine
    for event in (PowerAllowed(1_000, Direction.OUT), SetPower(500), Stop("again"), Tick(), Limit(3)):
        assert machine.handle(event, bench.plant.now_ms) == ()
    with pytest.raises(NotNow):
        machine.handle(Resume(), bench.plant.now_ms)


def test_no_command_of_the_first_look_energises() -> None:
    machine = Interlock()
    seat = make_bench(Profile.AC_OUTLET).seats[0]
    outputs = machine.handle(seat.begin, 0)
    energising = (Close, Permit, Precharge, SetDevicePower)
    assert not any(isinstance(output, Command) and isinstance(output.command, energising) for output in outputs)
    deadline_ms = machine.deadline_ms()
    assert deadline_ms is not None
    assert deadline_ms > 0
