import pytest

from market.delivery import OwnerLimit, OwnPlug, PathEnded, PathPrepared
from market.delivery import Reading as Counted
from market.errors import Reason
from market.terms import PlugStep, Profile
from market.units import Role
from tests.support.power_harness import limits_of, make_world
from v2xnode.clock import real_clock
from v2xnode.devices.interface import PATTERN_BITS, Reading
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.simulated import LocalPlant, simulated_devices
from v2xnode.events import EventLog
from v2xnode.metering import Metered, PathDerated, PathEnding, PathFailed, PathOff, PathReached, PlugTold, PowerPath
from v2xnode.power.events import Begin, Milestone, PlugReport
from v2xnode.trading.walk import Walk, fresh_pattern

CLOCK = real_clock()


def walk(role: Role = Role.PROVIDER) -> Walk:
    access = LocalPlant(Plant(make_world(Profile.DC_CONVERTER), lambda entry: None), lambda: 0)
    devices = simulated_devices(access, charger="p1", meter="p1", battery="p1")
    limits = limits_of(Profile.DC_CONVERTER)
    begin = Begin(profile=Profile.DC_CONVERTER, role=role, own=limits, peer=limits)
    return Walk(bytes(16), PowerPath(devices, CLOCK, lambda news: None), begin, 5_000, EventLog(CLOCK))


def metered(out_wh: int, in_wh: int, power_w: int = 0) -> Metered:
    return Metered(Reading(at_ms=1, import_wh=in_wh, export_wh=out_wh, power_w=power_w, class_ppm=0))


@pytest.mark.parametrize(("role", "register_wh"), [(Role.PROVIDER, 100), (Role.CLIENT, 7)])
def test_each_side_counts_what_this_delivery_moves(role: Role, register_wh: int) -> None:
    way = walk(role)
    assert way.means(metered(100, 7, -300)) == Counted(1, register_wh, 300)
    way.means(metered(130, 17, -200))
    assert (way.delivered_wh, way.power_w) == ({Role.PROVIDER: 30, Role.CLIENT: 10}[role], 200)


def test_news_of_the_path_in_the_markets_words() -> None:
    way = walk()
    assert way.means(PathReached(Milestone.READY_FOR_POWER)) == PathPrepared()
    assert way.means(PathReached(Milestone.LOCKED)) is None
    assert way.means(PathDerated(900, "hot")) == OwnerLimit(900)
    assert way.means(PlugTold(PlugReport(1, PlugStep.VERIFIED, 9, 400))) == OwnPlug(1, PlugStep.VERIFIED, 9, 400)


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ([], None),
        ([PathFailed("wrong_plug", "")], Reason.WRONG_PLUG),
        ([PathFailed("hot", "")], Reason.POWER_FAULT),
        ([PathEnding("peer_ended")], Reason.STOPPED_BY_PEER),
        ([PathEnding("stopped_by_owner")], None),
        ([PathFailed("hot", ""), PathEnding("peer_ended")], Reason.POWER_FAULT),
    ],
)
def test_a_path_that_ends_by_itself_says_why(news: list[PathFailed | PathEnding], reason: Reason | None) -> None:
    way = walk()
    for each in news:
        assert way.means(each) is None
    assert way.means(PathOff()) == PathEnded(reason)


async def test_an_end_that_was_asked_for_is_no_reason_of_the_paths_own() -> None:
    way = walk()
    await way.cut(Reason.STOPPED_BY_OWNER)
    way.means(PathEnding("peer_ended"))
    assert way.means(PathOff()) == PathEnded(None)


async def test_cut_before_it_went_it_goes_nowhere() -> None:
    way = walk()
    await way.cut(Reason.STOPPED_BY_OWNER)
    await way.go()
    await way.end()
    assert (way.path.begun, way.path.ended) == (False, True)
    await way.put_away()


def test_a_pattern_is_never_that_of_a_dead_reader() -> None:
    assert all(0 < fresh_pattern() < 1 << PATTERN_BITS for _ in range(500))
