"""Two interlocks and a plant, with looks that are broken, missing or frozen and devices that refuse, for a while, from
any step on: what the plant's log and the machines' outputs may then never show."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from market.terms import Profile
from tests.support.power_breaks import BREAKS
from tests.support.power_harness import MAX_POWER_W, TICK_MS, Bench, Seat, make_bench, powers
from v2xnode.devices.interface import PathCommand, PathSense
from v2xnode.power.events import CHADEMO_WELD_LIMIT_MV, WELD_LIMIT_MV, Milestone, Phase, PowerAllowed, Stop
from v2xnode.power.interlock import LEGAL
from v2xnode.power.profiles import PROFILES, direction_of
from v2xnode.power.steps import Step

PERMIT_MS = 3_000
END_MS = 240_000
KINDS = ("missing", "frozen", "refuses", *range(len(BREAKS)))


@dataclass(frozen=True, slots=True)
class Trouble:
    """From the first look at this step or later on, for so long: what this seat's device does."""

    seat: int
    step: Step
    kind: str | int
    lasts_ms: int


class Troubled:
    """A bench whose devices have these troubles. seen_ms: when each seat last had a fresh look."""

    def __init__(self, profile: Profile, troubles: list[Trouble]) -> None:
        self.bench: Bench = make_bench(profile, permit_ms=PERMIT_MS)
        self.bench.looks, self.bench.refuses = self.look, self.refuse
        self.troubles = troubles
        self.began_ms: dict[Trouble, int] = {}
        self.last: dict[str, PathSense] = {}
        self.seen_ms: dict[str, int] = {}

    def now(self, seat: Seat, kinds: tuple[str | int, ...]) -> list[Trouble]:
        """The troubles of these kinds that the seat has now."""
        mine = [each for each in self.troubles if self.bench.seats[each.seat] is seat and each.kind in kinds]
        running = seat.machine.phase is not Phase.IDLE
        for each in mine:
            if running and seat.machine.step >= each.step:
                self.began_ms.setdefault(each, self.bench.plant.now_ms)
        now_ms = self.bench.plant.now_ms
        return [each for each in mine if self.began_ms.get(each, now_ms) <= now_ms < self._end_ms(each)]

    def _end_ms(self, trouble: Trouble) -> int:
        return self.began_ms.get(trouble, -trouble.lasts_ms) + trouble.lasts_ms

    def look(self, seat: Seat, look: PathSense) -> PathSense | None:
        if self.now(seat, ("missing",)):
            return None
        if self.now(seat, ("frozen",)) and seat.terminal in self.last:
            return self.last[seat.terminal]
        for trouble in self.now(seat, tuple(range(len(BREAKS)))):
            broken = BREAKS[int(trouble.kind)].change(look, seat.begin)
            look = look if hides_voltage(look, broken) else broken
        self.last[seat.terminal], self.seen_ms[seat.terminal] = look, self.bench.plant.now_ms
        return look

    def refuse(self, seat: Seat, _: list[PathCommand]) -> bool:
        return bool(self.now(seat, ("refuses",)))


def hides_voltage(look: PathSense, broken: PathSense) -> bool:
    """A voltmeter that shows nothing where there is something defeats any software: devices refuse to unlock by one of
    their own."""
    return abs(broken.output_voltage_mv) < CHADEMO_WELD_LIMIT_MV <= abs(look.output_voltage_mv)


troubles = st.lists(
    st.builds(
        Trouble,
        seat=st.integers(0, 1),
        step=st.sampled_from(Step),
        kind=st.sampled_from(KINDS),
        lasts_ms=st.sampled_from([TICK_MS, 1_000, 20_000, END_MS]),
    ),
    max_size=3,
    unique=True,
)


def check_tick(troubled: Troubled) -> None:
    bench = troubled.bench
    for seat in bench.seats:
        if seat.begin.role not in PROFILES[seat.begin.profile].needs_permit:
            continue
        look = bench.plant.sense(seat.terminal)
        blind_ms = bench.plant.now_ms - troubled.seen_ms.get(seat.terminal, bench.plant.now_ms)
        assert look.power_w == 0 or look.permit_left_ms > 0
        assert look.power_w == 0 or blind_ms <= PERMIT_MS + PERMIT_MS // 3 + TICK_MS, "off within the permit's life"
        assert abs(look.power_w) <= MAX_POWER_W


def check_end(troubled: Troubled) -> None:
    bench = troubled.bench
    assert bench.plant.log.of("violation") == []
    assert powers(bench) == [0, 0]
    for seat in bench.seats:
        assert seat.machine.phase in (Phase.ENDED, Phase.HELD)
        assert Milestone.ENERGISED not in seat.reached or Milestone.READY_FOR_POWER in seat.reached
        if seat.machine.phase is Phase.HELD:
            check_held(troubled, seat)


def check_held(troubled: Troubled, seat: Seat) -> None:
    """Only what may be live stays locked: it is seen to be, or it is not seen, or it can't be unlocked."""
    unseen = [each for each in troubled.troubles if each.kind in ("missing", "frozen", "refuses")]
    last = troubled.last.get(seat.terminal)
    live = last is not None and abs(last.output_voltage_mv) >= WELD_LIMIT_MV
    jammed = last is not None and last.locked
    assert seat.faults[-1] in ("contactor_welded", "unlock_failed")
    assert live or jammed or unseen


@given(profile=st.sampled_from(Profile), troubles=troubles)
@settings(max_examples=80, deadline=None)
def test_in_any_trouble_it_ends_dark_and_nothing_was_asked_that_is_unsafe(
    profile: Profile, troubles: list[Trouble]
) -> None:
    troubled = Troubled(profile, troubles)
    bench = troubled.bench
    bench.begin()
    while bench.plant.now_ms < END_MS and not all(
        seat.machine.phase in (Phase.ENDED, Phase.HELD) for seat in bench.seats
    ):
        bench.step()
        check_tick(troubled)
        for seat in bench.seats:
            ready = Milestone.READY_FOR_POWER in seat.reached
            if ready and (seat.machine.phase, PowerAllowed) in LEGAL and seat.machine.step is Step.ALLOWED:
                bench.feed(seat, PowerAllowed(MAX_POWER_W, direction_of(seat.begin.role)))
            if bench.plant.now_ms > 30_000:
                bench.feed(seat, Stop("test"))
    bench.run(PERMIT_MS)
    check_end(troubled)
