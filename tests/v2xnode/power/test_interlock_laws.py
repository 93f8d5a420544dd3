"""No sequence of events, faults, lost messages and dead nodes energises before its checks, unlocks a live connector,
or exceeds a limit. The plant's log is the witness, and it knows nothing of the machines."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from market.terms import Profile
from market.units import Role
from tests.support.power_harness import MAX_POWER_W, Bench, Seat, make_bench, make_world, pattern_for
from v2xnode.devices.plant.terminal import Fault
from v2xnode.power.errors import NotNow
from v2xnode.power.events import Event, Limit, Milestone, Pause, Phase, PowerAllowed, Resume, SetPower, Stop
from v2xnode.power.profiles import PROFILES, direction_of
from v2xnode.power.steps import Step

SEATS = st.integers(0, 1)
WATTS = st.integers(0, 12_000)
GENTLE = [fault for fault in Fault if fault is not Fault.OVERPOWER]


class AnySequence(RuleBasedStateMachine):
    bench: Bench

    @initialize(
        profile=st.sampled_from(Profile),
        permit_ms=st.sampled_from([1_000, 3_000]),
        curtails=st.booleans(),
        watts=st.sampled_from([0, 1_500, MAX_POWER_W]),
    )
    def start(self, profile: Profile, permit_ms: int, curtails: bool, watts: int) -> None:
        self.bench = make_bench(profile, world=make_world(profile, curtails=curtails), permit_ms=permit_ms)
        self.lossy = False
        self.rounds = 1
        self.read = 0
        self.closed: set[str] = set()
        self.allowed: set[str] = set()
        self.ceilings: dict[str, int] = {}
        self.limits = {seat.terminal: MAX_POWER_W for seat in self.bench.seats}
        self.bench.carries = lambda _, __: not self.lossy
        self.bench.begin()
        if watts:
            self.live_on(20)
            self.all_goes_well(watts)

    @rule(ticks=st.integers(1, 30))
    def live_on(self, ticks: int) -> None:
        for _ in range(ticks):
            self.bench.step()

    @rule(delay_ms=st.integers(1, 4_000))
    def both_hang(self, delay_ms: int) -> None:
        self.bench.plant.advance(self.bench.plant.now_ms + delay_ms)

    @rule(which=SEATS, watts=st.integers(0, MAX_POWER_W))
    def allow(self, which: int, watts: int) -> None:
        seat = self.bench.seats[which]
        heard = seat.alive and seat.machine.phase in (Phase.RISING, Phase.PAUSED)
        if heard:
            self.allowed.add(seat.terminal)
            self.ceilings[seat.terminal] = min(self.ceilings.get(seat.terminal, watts), watts)
        self._feed(seat, PowerAllowed(watts, direction_of(seat.begin.role)))

    @rule(watts=st.sampled_from([1_500, MAX_POWER_W]))
    def all_goes_well(self, watts: int) -> None:
        for which in (0, 1):
            self.allow(which, watts)
        self.live_on(20)

    @rule(which=SEATS, watts=WATTS)
    def set_power(self, which: int, watts: int) -> None:
        self._feed(self.bench.seats[which], SetPower(watts))

    @rule(which=SEATS, watts=WATTS)
    def limit(self, which: int, watts: int) -> None:
        seat = self.bench.seats[which]
        if seat.machine.phase not in (Phase.ENDED, Phase.HELD) and seat.alive:
            self.limits[seat.terminal] = min(self.limits[seat.terminal], watts)
        self._feed(seat, Limit(watts))

    @rule(which=SEATS)
    def pause(self, which: int) -> None:
        self._feed(self.bench.seats[which], Pause("test"))

    @rule()
    def resume(self) -> None:
        self.rounds += 1
        for seat in self.bench.seats:
            master = PROFILES[seat.begin.profile].master is seat.begin.role
            self._feed(seat, Resume(pattern_for(1, self.rounds) if master else None))

    @rule(which=SEATS)
    def stop(self, which: int) -> None:
        self._feed(self.bench.seats[which], Stop("test"))

    @rule(lossy=st.booleans())
    def weather(self, lossy: bool) -> None:
        self.lossy = lossy

    @rule(which=SEATS, fault=st.sampled_from(GENTLE), on=st.booleans())
    def fault(self, which: int, fault: Fault, on: bool) -> None:
        self.bench.plant.inject(self.bench.seats[which].terminal, fault, on)

    @precondition(lambda self: all(seat.alive for seat in self.bench.seats))
    @rule(which=SEATS)
    def kill(self, which: int) -> None:
        self.bench.seats[which].alive = False

    @invariant()
    def nobody_asked_what_is_unsafe(self) -> None:
        assert self.bench.plant.log.of("violation") == []

    @invariant()
    def closed_only_after_both_proved_the_plug_and_power_was_allowed(self) -> None:
        entries = list(self.bench.plant.log.entries)
        fresh, self.read = entries[self.read :], len(entries)
        for entry in fresh:
            if entry["what"] == "contactor" and entry["closed"]:
                seat = next(seat for seat in self.bench.seats if seat.terminal == entry["terminal"])
                assert Milestone.READY_FOR_POWER in seat.reached
                assert seat.terminal in self.allowed
                assert seat.peer is not None
                assert Milestone.PLUG_VERIFIED in seat.peer.reached
                assert seat.machine.phase is not Phase.IDLE
                self.closed.add(seat.terminal)

    @invariant()
    def power_needs_both_closed_and_is_within_every_ceiling(self) -> None:
        for seat in self.bench.seats:
            look = self.bench.plant.sense(seat.terminal)
            if look.power_w:
                assert self.closed == {"p1", "c1"}
            needs_permit = seat.begin.role in PROFILES[seat.begin.profile].needs_permit
            if needs_permit:
                assert abs(look.power_w) <= self._ceiling(seat)
                assert look.power_w == 0 or look.permit_left_ms > 0
            assert (look.power_w <= 0) if seat.begin.role is Role.CLIENT else (look.power_w >= 0)

    @invariant()
    def a_permit_is_within_every_ceiling_and_held_by_no_machine_at_rest(self) -> None:
        for seat in self.bench.seats:
            held = self.bench.plant.terminals[seat.terminal].permit
            if held is None or not seat.alive:
                continue
            assert held.max_power_w <= self._ceiling(seat)
            assert seat.machine.phase in (Phase.RISING, Phase.DELIVERING) or seat.machine.step is Step.RAMP

    def _ceiling(self, seat: Seat) -> int:
        return min(self.ceilings.get(seat.terminal, 0), self.limits[seat.terminal])

    def _feed(self, seat: Seat, event: Event) -> bool:
        """Whether the machine took it; a machine that is not ready for it must have refused without a change."""
        if not seat.alive:
            return False
        before = (seat.machine.phase, seat.machine.step, seat.machine.deadline_ms())
        try:
            self.bench.feed(seat, event)
        except NotNow:
            assert (seat.machine.phase, seat.machine.step, seat.machine.deadline_ms()) == before
            return False
        return True


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
