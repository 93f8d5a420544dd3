"""A session's way to power: what the path's news mean to the delivery, and what the delivery wants of the path."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from market.delivery import OwnerLimit, OwnPlug, PathEnded, PathPrepared, Reading
from market.errors import Reason
from market.terms import Plug, PlugStep, PowerState
from market.units import Role
from tests.support.node_shop import PROFILE
from tests.support.power_harness import DC_LIMITS, make_world, pattern_for
from v2xnode.clock import real_clock
from v2xnode.devices.interface import Reading as MeterReading
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.simulated import LocalPlant, simulated_devices
from v2xnode.events import EventLog
from v2xnode.metering import (
    Metered,
    News,
    PathDerated,
    PathEnding,
    PathFailed,
    PathOff,
    PathReached,
    PlugTold,
    PowerPath,
)
from v2xnode.power.events import Begin, Event, Milestone, PlugReport, PowerAllowed, SetPower
from v2xnode.trading.walk import Walk, fresh_pattern

MAX_POWER_W = 7_000
PLUG = PlugReport(1, PlugStep.VERIFIED, 7, 390_000)


class HeardPath(PowerPath):
    """A real path that remembers what it was told."""

    def __init__(self, *path: Any) -> None:
        super().__init__(*path)
        self.heard: list[Event] = []

    async def feed(self, event: Event) -> None:
        self.heard.append(event)
        await super().feed(event)


@dataclass(slots=True)
class Way:
    """A walk on the simulated plant, with the news of its path."""

    walk: Walk
    path: HeardPath
    plant: Plant
    events: EventLog
    news: list[News] = field(default_factory=list)

    async def begun(self) -> None:
        await self.walk.go()
        ends_s = time.monotonic() + 20
        while not any(isinstance(each, Metered) for each in self.news):
            assert time.monotonic() < ends_s
            await asyncio.sleep(0.005)


def way(role: Role = Role.PROVIDER) -> Way:
    clock = real_clock(5, 0)
    plant = Plant(make_world(PROFILE), lambda entry: None)
    name = "p1" if role is Role.PROVIDER else "c1"
    news: list[News] = []
    devices = simulated_devices(LocalPlant(plant, clock.wall_ms), charger=name, meter=name, battery=name)
    path = HeardPath(devices, clock, news.append)
    pattern = pattern_for(1) if PROFILE.master is role else None
    begin = Begin(profile=PROFILE, role=role, own=DC_LIMITS, peer=DC_LIMITS, pattern=pattern)
    events = EventLog(clock)
    return Way(Walk(b"r" * 16, path, begin, MAX_POWER_W, events, os.urandom), path, plant, events, news)


def reading(at_ms: int, import_wh: int, export_wh: int, power_w: int) -> Metered:
    return Metered(MeterReading(at_ms=at_ms, import_wh=import_wh, export_wh=export_wh, power_w=power_w, class_ppm=0))


# what news mean


@pytest.mark.parametrize(("role", "begins_wh", "ends_wh"), [(Role.PROVIDER, 5_000, 5_030), (Role.CLIENT, 800, 820)])
def test_each_side_counts_by_the_register_of_its_role(role: Role, begins_wh: int, ends_wh: int) -> None:
    walk = way(role).walk
    assert walk.delivered_wh == 0
    assert walk.means(reading(1, 800, 5_000, 0)) == Reading(1, begins_wh, 0)
    assert walk.means(reading(2, 820, 5_030, -4_000)) == Reading(2, ends_wh, 4_000)
    assert walk.delivered_wh == ends_wh - begins_wh
    assert walk.power_w == 4_000


def test_plug_readiness_and_derating_reach_the_delivery() -> None:
    here = way()
    assert here.walk.means(PlugTold(PLUG)) == OwnPlug(1, PlugStep.VERIFIED, 7, 390_000)
    assert here.walk.means(PathReached(Milestone.ENERGISED)) is None
    assert here.walk.means(PathReached(Milestone.READY_FOR_POWER)) == PathPrepared()
    assert here.walk.means(PathDerated(2_000, "hot")) == OwnerLimit(2_000)
    assert [event.kind for event in here.events.since(0)] == ["path", "path", "derated"]


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ([], None),
        ([PathFailed("wrong_plug", "Another car.")], Reason.WRONG_PLUG),
        ([PathFailed("sense_stale", "No look.")], Reason.POWER_FAULT),
        ([PathEnding("peer_ended")], Reason.STOPPED_BY_PEER),
        ([PathEnding("supply_ended")], Reason.STOPPED_BY_PEER),
        ([PathEnding("pause_expired")], Reason.PAUSE_EXPIRED),
        ([PathEnding("paused")], None),
        ([PathFailed("wrong_plug", "Another car."), PathEnding("peer_ended")], Reason.WRONG_PLUG),
    ],
    ids=str,
)
def test_the_end_carries_why_the_path_ended_by_itself(news: list[News], reason: Reason | None) -> None:
    walk = way().walk
    for each in news:
        assert walk.means(each) is None
    assert walk.means(PathOff()) == PathEnded(reason)


async def test_an_end_that_we_ordered_is_not_laid_on_the_peer() -> None:
    walk = way().walk
    await walk.cut(Reason.STOPPED_BY_OWNER)
    walk.means(PathEnding("peer_ended"))
    assert walk.means(PathOff()) == PathEnded(None)


# what is wanted of the path


async def test_power_is_allowed_once_and_set_each_time() -> None:
    here = way()
    await here.begun()
    await here.walk.allow(5_000)
    await here.walk.allow(3_000)
    kinds = [type(event) for event in here.path.heard]
    assert kinds == [PowerAllowed, SetPower, SetPower]
    assert here.path.heard[0] == PowerAllowed(MAX_POWER_W, here.path.heard[0].direction)  # type: ignore[union-attr]
    assert here.path.heard[1:] == [SetPower(5_000), SetPower(3_000)]
    await here.walk.put_away()


async def test_a_path_that_was_cut_before_it_began_never_begins() -> None:
    here = way()
    before = here.plant.sense("p1")
    await here.walk.cut(Reason.STOPPED_BY_OWNER)
    await here.walk.go()
    await here.walk.end()
    assert here.news == [PathOff()]
    assert here.walk.state is PowerState.OFF
    assert here.plant.sense("p1") == before


async def test_what_the_peer_says_of_the_plug_before_the_path_began_waits_for_its_repetition() -> None:
    here = way()
    said = Plug(1, 1, PlugStep.VERIFIED, 7, 390_000)
    await here.walk.hear_plug(said)
    assert here.path.heard == []
    await here.begun()
    await here.walk.hear_plug(said)
    assert len(here.path.heard) == 1
    await here.walk.put_away()


async def test_a_walk_put_away_leaves_the_path_open_and_says_so() -> None:
    here = way()
    started: list[bool] = []
    here.walk.started = lambda: started.append(True)
    await here.begun()
    assert here.walk.state is PowerState.PREPARING
    await here.walk.put_away()
    await here.walk.put_away()
    assert started == [True]
    assert here.path.ended
    assert here.news.count(PathOff()) == 1


def test_no_fresh_pattern_is_zero_or_too_long_for_the_cable() -> None:
    assert all(0 < fresh_pattern(os.urandom) < 1 << 16 for _ in range(200))


async def test_to_cut_a_session_from_before_a_restart_is_to_look_at_the_devices_first() -> None:
    here = way()
    here.walk.recovers = True
    assert not here.walk.has_begun
    await here.walk.cut(Reason.SHUTDOWN)
    assert here.walk.has_begun
    await here.walk.end()
    assert here.path.ended
    assert not any(isinstance(each, PathFailed) for each in here.news)
    first_off = here.news.index(PathOff())
    assert isinstance(here.news[first_off - 1], Metered), "the register with the power off comes first"
