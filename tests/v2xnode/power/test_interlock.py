"""Both sides of a path on one plant: the way up and down, stops and pauses, permits, lost messages."""

from itertools import pairwise

import pytest

from market.terms import Profile
from tests.support.power_harness import MAX_POWER_W, closings, make_bench, make_world, pattern_for, powers
from v2xnode.devices.interface import Close, Direction, Permit, Precharge
from v2xnode.devices.interface import SetPower as SetDevicePower
from v2xnode.power.errors import NotNow, PatternMissing, WrongDirection
from v2xnode.power.events import (
    Begin,
    Command,
    Derated,
    Ending,
    Limit,
    Milestone,
    Pause,
    Phase,
    PlugReport,
    PowerAllowed,
    Reached,
    Resume,
    SetPower,
    Stop,
    Tick,
)
from v2xnode.power.interlock import PAUSE_LIMIT_MS, Interlock

ALL = pytest.mark.parametrize("profile", Profile)
DC = pytest.mark.parametrize("profile", [Profile.DC_BPT, Profile.DC_CONVERTER])


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
