"""The driver of one power path, on the simulated plant and on devices that hang, refuse or die."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from market.terms import PowerState, Profile
from market.units import Role
from tests.support.power_harness import limits_of, make_world, pattern_for
from v2xnode.clock import real_clock
from v2xnode.devices.errors import DeviceUnreachable
from v2xnode.devices.interface import DeviceSet, Open, PathCommand, PathSense, Permit
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.simulated import LocalPlant, SimulatedCharger, simulated_devices
from v2xnode.metering import Metered, News, PathFailed, PathOff, PathReached, PlugTold, PowerPath
from v2xnode.power.events import Begin, Milestone, PeerPlug, PowerAllowed, SetPower
from v2xnode.power.profiles import direction_of

PROFILE = Profile.DC_CONVERTER
DEADLINE_S = 20.0
LOOK_S = 0.005
SPEED = 5
CLOCK = real_clock(SPEED, 0)


class Spy:
    """A charger that remembers what it was told, and can be made to hang or to die."""

    def __init__(self, charger: SimulatedCharger) -> None:
        self._charger = charger
        self.commands: list[PathCommand] = []
        self.sensing = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.dead = False

    async def sense(self) -> PathSense:
        sense = await self._charger.sense()
        self.sensing.set()
        await self.may_answer.wait()
        self._check()
        return sense

    async def command(self, commands: Sequence[PathCommand]) -> None:
        self._check()
        self.commands += commands
        await self._charger.command(commands)

    def _check(self) -> None:
        if self.dead:
            raise DeviceUnreachable("It does not answer.")


@dataclass(slots=True)
class End:
    """One side's path with its news."""

    path: PowerPath
    charger: Spy
    begin: Begin
    news: list[News] = field(default_factory=list)

    def reached(self, milestone: Milestone) -> bool:
        return PathReached(milestone) in self.news

    def count(self, kind: type) -> int:
        return sum(isinstance(news, kind) for news in self.news)


def pair() -> tuple[End, End]:
    """Provider and client of one cable; what either tells of the plug the other hears."""
    access = LocalPlant(Plant(make_world(PROFILE), lambda entry: None), CLOCK.wall_ms)
    ends: list[End] = []
    for name, role in (("p1", Role.PROVIDER), ("c1", Role.CLIENT)):
        devices = simulated_devices(access, charger=name, meter=name, battery=name)
        charger = Spy(devices.charger)  # type: ignore[arg-type]  # the simulated driver's own
        own = limits_of(PROFILE)
        pattern = pattern_for(1) if PROFILE.master is role else None
        begin = Begin(profile=PROFILE, role=role, own=own, peer=own, pattern=pattern)
        tell = _teller(ends, len(ends))
        path = PowerPath(DeviceSet(charger, devices.meter, devices.battery), CLOCK, tell)
        ends.append(End(path, charger, begin))
    return ends[0], ends[1]


_TASKS: set["asyncio.Task[None]"] = set()


def _teller(ends: list[End], own: int) -> Callable[[News], None]:
    def tell(news: News) -> None:
        ends[own].news.append(news)
        other = ends[1 - own].path
        if isinstance(news, PlugTold) and other.begun:
            task = asyncio.ensure_future(other.feed(PeerPlug(news.report)))
            _TASKS.add(task)
            task.add_done_callback(_TASKS.discard)

    return tell


async def until(look: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < ends_s
        await asyncio.sleep(LOOK_S)


async def walk(*ends: End) -> list["asyncio.Task[None]"]:
    """Both sides up to power, allowed."""
    tasks = [asyncio.create_task(end.path.run(end.begin)) for end in ends]
    for end in ends:
        await until(lambda end=end: end.reached(Milestone.READY_FOR_POWER))  # type: ignore[misc]
        await end.path.feed(PowerAllowed(5_000, direction_of(end.begin.role)))
        await end.path.feed(SetPower(5_000))
    for end in ends:
        await until(lambda end=end: end.reached(Milestone.ENERGISED))  # type: ignore[misc]
    return tasks


async def test_both_walk_up_deliver_and_come_down_in_order() -> None:
    provider, client = pair()
    tasks = await walk(provider, client)
    assert provider.path.state is PowerState.DELIVERING
    await until(lambda: provider.count(Metered) > 3)
    await provider.path.stop("stopped_by_owner")
    await client.path.stop("stopped_by_owner")
    await asyncio.gather(*tasks)
    for end in (provider, client):
        assert (end.path.ended, end.count(PathOff), end.count(PathFailed)) == (True, 1, 0)
        assert end.reached(Milestone.UNLOCKED)
        assert end.path.state is PowerState.OFF


async def test_a_look_from_before_the_permit_is_no_lost_permit() -> None:
    provider, client = pair()
    tasks = [asyncio.create_task(end.path.run(end.begin)) for end in (provider, client)]
    for end in (provider, client):
        await until(lambda end=end: end.reached(Milestone.READY_FOR_POWER))  # type: ignore[misc]
    for end in (provider, client):
        end.charger.may_answer.clear()
        end.charger.sensing.clear()
        await end.charger.sensing.wait()  # it has looked, and the answer is still under way
        await end.path.feed(PowerAllowed(5_000, direction_of(end.begin.role)))
        assert any(isinstance(command, Permit) for command in end.charger.commands)
        end.charger.may_answer.set()
    for end in (provider, client):
        await until(lambda end=end: end.reached(Milestone.ENERGISED) or end.count(PathFailed) > 0)  # type: ignore[misc]
        assert end.count(PathFailed) == 0
        await end.path.stop("stopped_by_owner")
    await asyncio.gather(*tasks)


async def test_a_path_stopped_before_it_began_never_begins() -> None:
    provider, _ = pair()
    await provider.path.stop("stopped_by_owner")
    await provider.path.run(provider.begin)
    assert provider.charger.commands == []
    assert provider.news == [PathOff()]


async def test_stopped_between_its_task_and_its_first_step_it_never_begins() -> None:
    provider, _ = pair()
    task = asyncio.create_task(provider.path.run(provider.begin))
    await provider.path.stop("stopped_by_owner")
    await task
    assert provider.charger.commands == []


async def test_cancelled_it_opens_and_a_look_under_way_commands_nothing_after_that() -> None:
    provider, client = pair()
    tasks = await walk(provider, client)
    provider.charger.may_answer.clear()
    provider.charger.sensing.clear()
    await provider.charger.sensing.wait()
    tasks[0].cancel()
    await until(lambda: isinstance(provider.charger.commands[-1], Open))
    provider.charger.may_answer.set()
    await until(tasks[0].done)
    for _ in range(20):
        await asyncio.sleep(0)
    assert isinstance(provider.charger.commands[-1], Open)
    assert provider.path.state is PowerState.OFF
    await provider.path.feed(SetPower(5_000))
    assert isinstance(provider.charger.commands[-1], Open)
    await client.path.stop("stopped_by_owner")
    await tasks[1]


async def test_a_device_that_dies_ends_its_path_and_is_told_as_a_fault() -> None:
    provider, client = pair()
    tasks = await walk(provider, client)
    provider.charger.dead = True
    await tasks[0]
    assert provider.count(PathFailed) >= 1
    assert provider.news[-1] == PathOff()
    await provider.path.stop("stopped_by_owner")
    await client.path.stop("stopped_by_owner")
    await tasks[1]


async def test_the_permit_is_renewed_while_power_flows() -> None:
    provider, client = pair()
    tasks = await walk(provider, client)
    permits = sum(isinstance(each, Permit) for each in provider.charger.commands)
    await until(lambda: sum(isinstance(each, Permit) for each in provider.charger.commands) > permits + 1)
    for end in (provider, client):
        await end.path.stop("stopped_by_owner")
    await asyncio.gather(*tasks)


async def test_the_meter_can_be_read_without_a_walk() -> None:
    provider, _ = pair()
    reading = await provider.path.read()
    assert reading.power_w == 0
    assert not provider.path.begun
