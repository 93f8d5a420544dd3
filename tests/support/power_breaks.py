"""Every way in which a look at a power path can be wrong, and the moments of a session at which it may be."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from market.terms import Profile
from tests.support.power_harness import MAX_POWER_W, Bench, Seat, make_bench, pattern_for
from v2xnode.devices.interface import Insulation, PathSense, Pilot
from v2xnode.power.events import Begin, Milestone, Pause, Phase, Resume, Stop
from v2xnode.power.interlock import Interlock
from v2xnode.power.profiles import direction_of
from v2xnode.power.steps import Row, Step

M = TypeVar("M", bound=Interlock)
Change = Callable[[PathSense, Begin], PathSense]


@dataclass(frozen=True, slots=True)
class Break:
    """codes: of the guards that this breaks. change: the look as it is then."""

    codes: frozenset[str]
    change: Change


def _broken(codes: str, change: Change) -> Break:
    return Break(frozenset(codes.split()), change)


def _set(codes: str, **values: object) -> Break:
    return _broken(codes, lambda look, _: replace(look, **values))  # type: ignore[arg-type]


def _out(begin: Begin) -> int:
    return 1 if direction_of(begin.role).value == "out" else -1


BREAKS = (
    _set("unplugged", plugged=False),
    _set("lock_lost", locked=False),
    _set("device_fault", faults=("E7",)),
    _set("pilot_lost", pilot=Pilot.FAULT),
    _set("earth_lost", earth_ok=False),
    _set("island_lost", grid_open=False),
    _set("island_lost", grid_open=None),
    _set("island_lost", grid_dead=False),
    _set("island_lost", grid_dead=None),
    _set("neutral_lost", neutral_bonded=False),
    _set("neutral_lost", neutral_bonded=None),
    _set("insulation_low insulation_lost", insulation=Insulation.FAULT),
    _broken("insulation_lost", lambda look, begin: replace(look, insulation_ohm=begin.own.max_voltage_mv // 10 - 1)),
    _set("rcd_tripped", rcd_ok=False),
    _set("peer_ended", pilot=Pilot.PLUGGED),
    _set("supply_ended", ready=False),
    _broken("monitor_conflict", lambda look, _: replace(look, monitor_on=not look.monitor_on)),
    _set("polarity_reversed undervoltage", output_voltage_mv=-5_001),
    _set("precharge_current", current_ma=2_001),
    _set("precharge_current", current_ma=-2_001),
    _set("permit_lost", permit_left_ms=0),
    _set("contactor_opened", contactor_closed=False),
    _broken("overvoltage", lambda look, begin: replace(look, output_voltage_mv=begin.own.max_voltage_mv + 1)),
    _broken(
        "overvoltage polarity_reversed undervoltage",
        lambda look, begin: replace(look, output_voltage_mv=-begin.own.max_voltage_mv - 1),
    ),
    _broken("undervoltage", lambda look, begin: replace(look, output_voltage_mv=begin.own.min_voltage_mv - 1)),
    _set("connector_hot", connector_millicelsius=90_001),
    _broken(
        "current_above_limit precharge_current",
        lambda look, begin: replace(look, current_ma=begin.own.max_current_ma * 1_030 // 1_000 + 1),
    ),
    _broken("power_reversed", lambda look, begin: replace(look, power_w=-51 * _out(begin))),
    _broken(
        "power_above_limit", lambda look, begin: replace(look, power_w=(MAX_POWER_W * 103 // 100 + 1) * _out(begin))
    ),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A machine right before a look that is as it should be."""

    begin: Begin
    machine: Interlock
    look: PathSense
    now_ms: int

    def twin(self) -> Interlock:
        return twin(self.machine)


def twin(machine: M) -> M:
    """The same machine once more; the two know nothing of each other. Rows of tables are told apart by identity, so
    they stay the same."""
    other = copy.copy(machine)
    for name in ("_see", "_telling", "_out"):
        setattr(other, name, copy.copy(getattr(machine, name)))
    return other


class Recorder(Interlock):
    """Keeps a twin of itself as it enters each step: several may hold at one look, and each has its moment."""

    def __init__(self) -> None:
        super().__init__()
        self.entered: list[Interlock] | None = []

    def _enter(self, rows: tuple[Row, ...], index: int) -> None:
        super()._enter(rows, index)
        if self.entered is not None:
            other = twin(self)
            other.entered = None
            self.entered.append(other)


@cache
def moments(profile: Profile) -> tuple[Moment, ...]:
    """Both sides' moments of a session with a pause, from the lock to the end: the first of each step and phase."""
    bench, found = make_bench(profile), dict[tuple[str, Phase, Step], Moment]()

    def keep(seat: Seat, look: PathSense) -> PathSense:
        key = (seat.terminal, seat.machine.phase, seat.machine.step)
        machine = twin(seat.machine)
        machine.entered = None  # type: ignore[attr-defined]
        found.setdefault(key, Moment(seat.begin, machine, look, bench.plant.now_ms))
        return look

    bench.looks = keep
    recorders = [Recorder() for _ in bench.seats]
    for seat, recorder in zip(bench.seats, recorders, strict=True):
        seat.machine = recorder
    bench.energise()
    bench.run(3_000)
    _pause_and_go_on(bench)
    bench.stop_all(Stop("test"))
    bench.run(20_000)
    assert all(seat.machine.phase is Phase.ENDED and not seat.faults for seat in bench.seats)
    for seat, recorder in zip(bench.seats, recorders, strict=True):
        for entered in recorder.entered or ():
            see = entered._see
            if see.look is not None:
                fresh = replace(see.look, at_ms=see.look.at_ms + 1)
                key = (seat.terminal, entered.phase, entered.step)
                found.setdefault(key, Moment(seat.begin, entered, fresh, see.now_ms + 1))
    return tuple(found.values())


def _pause_and_go_on(bench: Bench) -> None:
    bench.stop_all(Pause("test"))
    bench.run_until(Milestone.PAUSED)
    bench.run(400)
    for seat in bench.seats:
        bench.feed(seat, Resume(None if seat.begin.pattern is None else pattern_for(1, 2)))
    bench.run(10_000)
    assert all(seat.machine.phase is Phase.DELIVERING for seat in bench.seats)
