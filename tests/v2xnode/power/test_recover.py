"""A node that went down in a session and is back: whatever its devices are at, off, weld check, unlock."""

import pytest

from market.terms import Profile
from tests.support.power_harness import Bench, Seat, make_bench
from v2xnode.devices.plant.terminal import Fault
from v2xnode.power.errors import NotNow
from v2xnode.power.events import Begin, Ending, Milestone, Phase, PowerAllowed, Recover, Sensed
from v2xnode.power.interlock import Interlock
from v2xnode.power.profiles import direction_of

ALL = pytest.mark.parametrize("profile", Profile)
EITHER = pytest.mark.parametrize("seat", [0, 1])


def reborn(bench: Bench, seat: Seat) -> None:
    """The node's process ended and another begins; the devices are as they were."""
    seat.machine, seat.outputs, seat.alive = Interlock(), [], True
    bench.feed(seat, Recover(seat.begin))


@ALL
@EITHER
def test_a_live_path_is_opened_checked_and_unlocked(profile: Profile, seat: int) -> None:
    bench = make_bench(profile)
    bench.energise()
    bench.run(5_000)
    chosen = bench.seats[seat]
    reborn(bench, chosen)
    bench.run(200)
    assert not bench.plant.sense(chosen.terminal).contactor_closed
    bench.run(20_000)
    assert chosen.machine.phase is Phase.ENDED
    assert chosen.reached == [Milestone.POWERED_OFF, Milestone.UNLOCKED]
    assert [each for _, each in chosen.outputs if isinstance(each, Ending)] == [Ending("restarted")]
    assert not bench.plant.sense(chosen.terminal).locked


@ALL
def test_a_path_that_never_began_comes_to_rest(profile: Profile) -> None:
    bench = make_bench(profile)
    bench.seats[1].alive = False
    reborn(bench, bench.seats[0])
    bench.run(2_000)
    assert bench.seats[0].machine.phase is Phase.ENDED


def test_a_welded_contactor_keeps_the_connector_locked() -> None:
    bench = make_bench(Profile.DC_CONVERTER)
    bench.energise()
    bench.run(2_000)
    chosen = bench.seats[0]
    bench.plant.inject(chosen.terminal, Fault.WELD)
    bench.plant.inject(bench.seats[1].terminal, Fault.WELD)
    reborn(bench, chosen)
    bench.run(20_000)
    assert chosen.machine.phase is Phase.HELD
    assert bench.plant.sense(chosen.terminal).locked


@ALL
def test_nothing_begins_again_in_a_recovered_session(profile: Profile) -> None:
    bench = make_bench(profile)
    chosen, other = bench.seats
    other.alive = False
    reborn(bench, chosen)
    with pytest.raises(NotNow):
        chosen.machine.handle(chosen.begin, bench.plant.now_ms)
    allowed = PowerAllowed(1_000, direction_of(chosen.begin.role))
    assert chosen.machine.handle(allowed, bench.plant.now_ms) == ()
    bench.run(20_000)
    assert not bench.plant.sense(chosen.terminal).contactor_closed


def test_only_a_machine_that_has_not_begun_recovers() -> None:
    bench = make_bench(Profile.DC_CONVERTER)
    bench.energise()
    with pytest.raises(NotNow):
        bench.feed(bench.seats[0], Recover(bench.seats[0].begin))
    assert isinstance(bench.seats[0].begin, Begin)
    assert Sensed(bench.plant.sense("p1")).sense.contactor_closed
