"""Interlocks on both sides of a path, one plant, world time that the test steps: no clock, no sleep, no network."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from market.terms import Profile
from market.units import Role
from v2xnode.devices.errors import DeviceRefused
from v2xnode.devices.interface import PathCommand, PathSense
from v2xnode.devices.plant.battery import BatterySpec
from v2xnode.devices.plant.cable import CableSpec
from v2xnode.devices.plant.load import LoadSpec
from v2xnode.devices.plant.meter import MeterSpec
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.terminal import TerminalSpec
from v2xnode.devices.plant.world import WorldSpec
from v2xnode.power.events import (
    Begin,
    Command,
    CommandRefused,
    Event,
    Fault,
    Milestone,
    Output,
    PathLimits,
    PeerPlug,
    PlugReport,
    PowerAllowed,
    Reached,
    Sensed,
    TellPlug,
    Tick,
)
from v2xnode.power.interlock import Interlock
from v2xnode.power.profiles import PROFILES, direction_of

TICK_MS = 200
MAX_POWER_W = 7_000
LOADED = (Profile.DC_BPT, Profile.AC_ISLAND, Profile.AC_OUTLET)
DC_LIMITS = PathLimits(200_000, 500_000, 32_000, MAX_POWER_W)
AC_LIMITS = PathLimits(207_000, 253_000, 32_000, MAX_POWER_W)


def limits_of(profile: Profile) -> PathLimits:
    return DC_LIMITS if PROFILES[profile].dc else AC_LIMITS


def make_world(profile: Profile, pairs: int = 1, curtails: bool = True, energy_wh: int = 40_000) -> WorldSpec:
    """`pairs` times provider `pN` with battery `pN`, client `cN` with battery or load `cN`, cable and meters."""
    specs = range(1, pairs + 1)
    battery = BatterySpec(
        capacity_wh=60_000, energy_wh=energy_wh, floor_wh=3_000, max_charge_w=50_000, max_discharge_w=10_000
    )
    low = BatterySpec(capacity_wh=50_000, energy_wh=10_000, max_charge_w=50_000, max_discharge_w=10_000)
    load = LoadSpec(power_w=(2_000, 3_000), step_ms=60_000, curtails=curtails)
    loaded = profile in LOADED
    batteries = {f"p{i}": battery for i in specs} | ({} if loaded else {f"c{i}": low for i in specs})
    return WorldSpec(
        batteries=batteries,
        loads={f"c{i}": load for i in specs} if loaded else {},
        terminals={f"p{i}": _terminal(profile, Role.PROVIDER, f"p{i}", battery=True) for i in specs}
        | {f"c{i}": _terminal(profile, Role.CLIENT, f"c{i}", battery=not loaded) for i in specs},
        cables={
            f"w{i}": CableSpec(provider=f"p{i}", client=f"c{i}", standby_w=5, loss_ppm=3_000, resistance_mohm=50)
            for i in specs
        },
        meters={f"p{i}": MeterSpec(terminal=f"p{i}", gain_ppm=4_000, clock_offset_ms=70) for i in specs}
        | {f"c{i}": MeterSpec(terminal=f"c{i}", gain_ppm=-6_000, clock_drift_ppm=50) for i in specs},
    )


def _terminal(profile: Profile, role: Role, name: str, *, battery: bool) -> TerminalSpec:
    return TerminalSpec(
        profile=profile,
        role=role,
        battery=name if battery else None,
        load=None if battery else name,
        max_power_w=11_000,
        max_current_ma=40_000,
        standby_w=10,
        loss_ppm=20_000,
    )


@dataclass
class Seat:
    """One node's place: its machine, what came out of it and when, and whether it is still alive."""

    terminal: str
    begin: Begin
    machine: Interlock = field(default_factory=Interlock)
    outputs: list[tuple[int, Output]] = field(default_factory=list)
    alive: bool = True
    peer: "Seat | None" = None

    @property
    def reached(self) -> list[Milestone]:
        return [output.milestone for _, output in self.outputs if isinstance(output, Reached)]

    @property
    def faults(self) -> list[str]:
        return [output.code for _, output in self.outputs if isinstance(output, Fault)]


@dataclass
class Bench:
    """Seats around one plant. `carries` decides whether a Plug message arrives (after `latency_ms`), `looks` what a
    machine sees of a look (None: the device does not answer), `refuses` whether the device refuses commands."""

    plant: Plant
    seats: list[Seat]
    carries: Callable[[Seat, PlugReport], bool] = lambda _, __: True
    looks: Callable[[Seat, PathSense], PathSense | None] = lambda _, look: look
    refuses: Callable[[Seat, list[PathCommand]], bool] = lambda _, __: False
    latency_ms: int = 0
    mail: list[tuple[int, Seat, PlugReport]] = field(default_factory=list)

    def feed(self, seat: Seat, event: Event) -> tuple[Output, ...]:
        """Give one event to one machine and do what it wants of device and peer."""
        now_ms = self.plant.now_ms
        outputs = seat.machine.handle(event, now_ms)
        seat.outputs += [(now_ms, output) for output in outputs]
        for output in outputs:
            if isinstance(output, TellPlug) and seat.peer is not None and self.carries(seat, output.report):
                self.mail.append((now_ms + self.latency_ms, seat.peer, output.report))
        commands = [output.command for output in outputs if isinstance(output, Command)]
        if commands:
            self._command(seat, commands)
        return outputs

    def step(self, tick_ms: int = TICK_MS) -> None:
        """One round of the drivers' loops."""
        self.plant.advance(self.plant.now_ms + tick_ms)
        due = [letter for letter in self.mail if letter[0] <= self.plant.now_ms]
        self.mail = [letter for letter in self.mail if letter[0] > self.plant.now_ms]
        for _, seat, report in due:
            if seat.alive:
                self.feed(seat, PeerPlug(report))
        for seat in self.seats:
            if seat.alive:
                look = self.looks(seat, self.plant.sense(seat.terminal))
                self.feed(seat, Tick() if look is None else Sensed(look))

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // TICK_MS):
            self.step()

    def run_until(self, milestone: Milestone, seats: Iterable[Seat] | None = None, limit_ms: int = 60_000) -> None:
        """Step until all these seats have reached a milestone. AssertionError with what they did when they don't."""
        waiting = list(self.seats if seats is None else seats)
        for _ in range(limit_ms // TICK_MS):
            if all(milestone in seat.reached for seat in waiting):
                return
            self.step()
        raise AssertionError(
            [(seat.terminal, seat.machine.phase, seat.machine.step, seat.outputs[-5:]) for seat in waiting]
        )

    def begin(self) -> None:
        for seat in self.seats:
            self.feed(seat, seat.begin)

    def allow(self, max_power_w: int = MAX_POWER_W) -> None:
        for seat in self.seats:
            self.feed(seat, PowerAllowed(max_power_w, direction_of(seat.begin.role)))

    def energise(self, max_power_w: int = MAX_POWER_W) -> None:
        """From the start to power on both sides."""
        self.begin()
        self.run_until(Milestone.READY_FOR_POWER)
        self.allow(max_power_w)
        self.run_until(Milestone.ENERGISED)

    def stop_all(self, event: Event) -> None:
        for seat in self.seats:
            if seat.alive:
                self.feed(seat, event)

    def _command(self, seat: Seat, commands: list[PathCommand]) -> None:
        if self.refuses(seat, commands):
            self.feed(seat, CommandRefused("test"))
            return
        try:
            self.plant.command(seat.terminal, commands)
        except DeviceRefused as refusal:
            self.feed(seat, CommandRefused(refusal.code))


def make_bench(profile: Profile, pairs: int = 1, world: WorldSpec | None = None, permit_ms: int = 3_000) -> Bench:
    """A plant and a seat at every terminal, session partners by number."""
    plant = Plant(world or make_world(profile, pairs))
    seats = []
    for i in range(1, pairs + 1):
        provider = Seat(f"p{i}", _begin(profile, Role.PROVIDER, i, permit_ms))
        client = Seat(f"c{i}", _begin(profile, Role.CLIENT, i, permit_ms))
        provider.peer, client.peer = client, provider
        seats += [provider, client]
    return Bench(plant, seats)


def powers(bench: Bench) -> list[int]:
    """Power at each seat, out of it positive."""
    return [bench.plant.sense(seat.terminal).power_w for seat in bench.seats]


def closings(bench: Bench) -> list[str]:
    """Terminals whose contactor closed, in order."""
    return [entry["terminal"] for entry in bench.plant.log.of("contactor") if entry["closed"]]


def pattern_for(pair: int, round_number: int = 1) -> int:
    """A pattern of this pair that no other pair and round of a test has."""
    return (pair * 4_099 + round_number * 257) & 0xFFFF


def _begin(profile: Profile, role: Role, pair: int, permit_ms: int) -> Begin:
    limits = limits_of(profile)
    master = PROFILES[profile].master is role
    return Begin(
        profile=profile,
        role=role,
        own=limits,
        peer=limits,
        pattern=pattern_for(pair) if master else None,
        permit_ms=permit_ms,
    )
