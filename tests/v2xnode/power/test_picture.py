from dataclasses import replace

import pytest

from market.terms import PlugStep, Profile
from market.units import Role
from tests.support.power_harness import make_bench
from v2xnode.devices.interface import Direction
from v2xnode.power.errors import PatternMissing
from v2xnode.power.events import Begin, PathLimits, PlugReport
from v2xnode.power.picture import FOLLOW_MS, Picture, tighter


def picture(role: Role = Role.PROVIDER) -> Picture:
    own, peer = PathLimits(1, 2, 1, 7_000), PathLimits(1, 2, 1, 5_000)
    return Picture(Begin(profile=Profile.DC_CONVERTER, role=role, own=own, peer=peer, permit_ms=900))


def test_the_ceiling_is_the_least_of_all_that_was_ever_said() -> None:
    see = picture()
    assert see.ceiling_w == 0
    see.allowed_w = 6_000
    assert see.ceiling_w == 5_000
    see.limit_w = 1_200
    assert see.ceiling_w == 1_200
    see.wanted_w = 9_000
    assert see.target_w == 1_200
    permit = see.permit()
    assert (permit.max_power_w, permit.direction, permit.valid_ms) == (1_200, Direction.OUT, 900)


def test_the_power_before_may_flow_until_the_device_has_followed() -> None:
    see = picture()
    see.asked_before_w, see.asked_w, see.lowered_at_ms, see.now_ms = 3_000, 500, 10_000, 10_000 + FOLLOW_MS
    assert see.bound_w == 3_000
    see.now_ms += 1
    assert see.bound_w == 500


def test_what_the_peer_said_in_another_round_does_not_count() -> None:
    see = picture()
    see.peer = PlugReport(2, PlugStep.VERIFIED, 7, 0)
    assert see.peer_step is None
    assert see.peer_pattern is None
    see.round = 2
    assert see.peer_step is PlugStep.VERIFIED
    assert see.peer_pattern == 7


@pytest.mark.parametrize(("role", "pattern"), [(Role.PROVIDER, None), (Role.CLIENT, 5)])
def test_only_the_master_brings_a_pattern(role: Role, pattern: int | None) -> None:
    with pytest.raises(PatternMissing):
        picture(role).take_pattern(pattern)


def test_a_look_of_the_same_moment_is_taken_and_is_no_fresh_one() -> None:
    see = picture()
    first = make_bench(Profile.DC_CONVERTER).plant.sense("p1")
    see.now_ms = 1_000
    assert see.take_look(first)
    see.now_ms = 1_700
    hot = replace(first, connector_millicelsius=99_000)
    assert not see.take_look(hot)
    assert (see.sense, see.age_ms) == (hot, 700)
    assert see.take_look(replace(first, at_ms=first.at_ms + 1))
    assert see.age_ms == 0


@pytest.mark.parametrize(("known", "limit", "held"), [(None, 5, 5), (4, 5, 4), (6, 5, 5)])
def test_limits_only_tighten(known: int | None, limit: int, held: int) -> None:
    assert tighter(known, limit) == held
