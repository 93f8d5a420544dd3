"""The two machines played against each other over a channel that loses, delays, reorders and repeats.

Laws, for every seed: it always ends; both come to the same sum; the exposure holds; no energy flows before the
opening Receipt, nor after a Stop; control numbers rise.
"""

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.delivery import AllowPower, BeginPath, CutPower, OwnerLimit, OwnerPause, OwnerStop, Plugged, replay
from market.delivery.power import FOLLOW_MS
from market.errors import Reason
from market.machine import Tell
from market.terms import Close, Dispute, Offer, PriceKind, PriceStep, Profile, Receipt, SilenceRule
from market.units import MS_PER_HOUR, Role
from tests.support.market_terms import offer, pair
from tests.support.market_world import WALL_MS, Air, Side, World

LONG_MS = 1_200_000


def play(offered: Offer, *, plugged_ms: int = 5, until_ms: int = LONG_MS, **how: Any) -> World:
    world = begun(offered, plugged_ms=plugged_ms, **how)
    world.run(until_ms)
    return world


def begun(offered: Offer, *, plugged_ms: int = 5, **how: Any) -> World:
    provider, client = pair(offered)
    world = World(provider, client, **({"provider_ppm": 8_000, "client_ppm": -5_000} | how))
    world.at(plugged_ms, lambda: world.feed(world.client, Plugged()))
    return world


def outcome(side: Side) -> tuple[int, tuple[int, ...], int]:
    last = side.finished[-1]
    return last.agreed_wh, last.amounts_micro, last.receipts


def check_laws(world: World) -> None:
    assert world.is_done, (world.provider.machine.state, world.client.machine.state)
    assert outcome(world.provider) == outcome(world.client)
    assert world.worst_exposure_wh <= world.provider.machine.account.offer.exposure_wh
    assert not world.power_before_receipt
    assert world.power_w == 0
    for side in (world.provider, world.client):
        check_order(side)


def check_order(side: Side) -> None:
    told = [each.message for each in side.effects if isinstance(each, Tell)]
    numbers = [seq for each in told if (seq := getattr(each, "seq", None)) is not None]
    assert numbers == sorted(set(numbers))
    cuts = [place for place, each in enumerate(side.effects) if isinstance(each, CutPower)]
    assert len(cuts) <= 1
    after = side.effects[cuts[0] :] if cuts else []
    assert not [each for each in after if isinstance(each, AllowPower | BeginPath)]


def test_on_a_clean_channel_all_of_it_is_delivered_and_paid() -> None:
    world = play(offer(energy_wh=1_000))
    check_laws(world)
    agreed_wh, amounts_micro, receipts = outcome(world.provider)
    assert world.provider.finished[-1].reason is Reason.ENERGY_REACHED
    assert 995 <= agreed_wh <= 1_000
    assert amounts_micro == (agreed_wh * 300,)
    assert receipts == len(world.client.said(Receipt))


@given(
    seed=st.integers(0, 10**6),
    read_ms=st.integers(100, 1_000),
    follow_ms=st.integers(0, 500),
    draw_w=st.integers(3_000, 50_000),
    profile=st.sampled_from([Profile.DC_CONVERTER, Profile.AC_OUTLET]),
    power_min_w=st.sampled_from([0, 2_900]),
)
@settings(max_examples=30, deadline=None)
def test_no_more_than_the_agreed_energy_is_delivered_and_its_end_does_not_crawl(
    seed: int, read_ms: int, follow_ms: int, draw_w: int, profile: Profile, power_min_w: int
) -> None:
    offered = offer(energy_wh=60, power_w=50_000, exposure_wh=500, profile=profile)
    pairs = pair(offered, power_min_w=power_min_w)
    world = World(*pairs, seed=seed, provider_ppm=8_000, draw_w=draw_w, read_ms=read_ms, follow_ms=follow_ms)
    world.at(5, lambda: world.feed(world.client, Plugged()))
    world.run(LONG_MS)
    check_laws(world)
    assert world.provider.finished[-1].reason is Reason.ENERGY_REACHED
    short_wh = 2 + draw_w * (read_ms + FOLLOW_MS) // MS_PER_HOUR
    assert 60 - short_wh <= world.register_wh(world.provider) - world.provider.opening_wh <= 60 + 1
    assert world.now_ms <= 60 * MS_PER_HOUR // draw_w + 20_000


@pytest.mark.parametrize("read_ms", [200, 500])
def test_at_fifty_kilowatts_the_last_watt_hour_is_the_last(read_ms: int) -> None:
    world = play(offer(energy_wh=250, power_w=50_000), draw_w=50_000, read_ms=read_ms, follow_ms=200)
    assert 249 <= outcome(world.provider)[0] <= 250


def test_where_the_clients_meter_counts_it_ends_by_that() -> None:
    offered = offer(energy_wh=2_000, exposure_wh=100, profile=Profile.DC_BPT, reference=Role.CLIENT)
    world = play(offered, provider_ppm=-6_000, client_ppm=6_000)
    check_laws(world)
    assert 1_995 <= outcome(world.client)[0] <= 2_001


airs = st.builds(
    Air,
    loss=st.integers(0, 350),
    repeat=st.integers(0, 300),
    delay_low_ms=st.just(10),
    delay_high_ms=st.integers(20, 2_500),
)


@given(
    seed=st.integers(0, 10**6), air=airs, exposure_wh=st.sampled_from([40, 150, 500]), draw_w=st.integers(3_000, 11_000)
)
@settings(max_examples=25, deadline=None)
def test_it_always_ends_and_both_come_to_the_same(seed: int, air: Air, exposure_wh: int, draw_w: int) -> None:
    offered = offer(energy_wh=150, exposure_wh=exposure_wh, interval_ms=20_000, silence=SilenceRule.TO_EXPOSURE)
    world = play(offered, seed=seed, air=air, draw_w=draw_w, until_ms=3_600_000)
    check_laws(world)
    assert not world.provider.said(Dispute) + world.client.said(Dispute)


@given(seed=st.integers(0, 10**6), air=airs, at_ms=st.integers(0, 90_000), by_client=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_stop_at_any_moment_ends_it_on_both_sides(seed: int, air: Air, at_ms: int, by_client: bool) -> None:
    world = begun(offer(energy_wh=200, interval_ms=10_000), seed=seed, air=air)
    side = world.client if by_client else world.provider
    world.at(at_ms, lambda: world.feed(side, OwnerStop()))
    world.run(LONG_MS)
    check_laws(world)


@given(
    seed=st.integers(0, 10**6),
    at_ms=st.integers(2_000, 60_000),
    gone_ms=st.integers(1_000, 200_000),
    both=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_a_channel_that_dies_for_a_while_costs_no_more_than_the_exposure(
    seed: int, at_ms: int, gone_ms: int, both: bool
) -> None:
    rule = SilenceRule.POWER_OFF if seed % 2 else SilenceRule.TO_EXPOSURE
    world = begun(offer(energy_wh=200, exposure_wh=60, silence=rule), seed=seed)
    world.at(at_ms, lambda: world.cut.update({"client", *(["provider"] if both else [])}))
    world.at(at_ms + gone_ms, world.cut.clear)
    world.run(LONG_MS)
    check_laws(world)


@given(seed=st.integers(0, 10**6), air=airs, fail_at=st.integers(1, 8), by_client=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_ledger_that_fails_once_is_a_stop(seed: int, air: Air, fail_at: int, by_client: bool) -> None:
    world = begun(offer(energy_wh=100, interval_ms=10_000), seed=seed, air=air)
    side, count = (world.client if by_client else world.provider), iter(range(1, 10**6))
    side.fails = lambda _: next(count) == fail_at
    world.run(LONG_MS)
    assert all(each.finished for each in (world.provider, world.client))
    assert world.power_w == 0
    assert world.worst_exposure_wh <= 500
    assert not world.power_before_receipt


@given(
    seed=st.integers(0, 10**6),
    air=airs,
    changes=st.lists(st.tuples(st.integers(0, 120_000), st.integers(0, 5)), max_size=8),
)
@settings(max_examples=20, deadline=None)
def test_owners_may_pause_and_limit_as_they_like(seed: int, air: Air, changes: list[tuple[int, int]]) -> None:
    world = begun(offer(energy_wh=150, interval_ms=20_000, pause_max_ms=40_000), seed=seed, air=air)
    for at_ms, kind in changes:
        side = world.client if kind % 2 else world.provider
        event = OwnerLimit(3_000 + kind) if kind < 2 else OwnerPause(kind < 4)
        world.at(at_ms, partial(_try, world, side, event))
    world.run(LONG_MS)
    check_laws(world)


def _try(world: World, side: Side, event: OwnerLimit | OwnerPause) -> None:
    """An owner can press only what the page shows: nothing to pause before power."""
    if (side.machine.state, type(event)) in side.machine.STEPS:
        world.feed(side, event)


@given(seed=st.integers(0, 10**6), air=airs, off_ppm=st.sampled_from([60_000, -60_000]))
@settings(max_examples=10, deadline=None)
def test_a_meter_that_lies_is_disputed_and_both_settle_the_undisputed_part(seed: int, air: Air, off_ppm: int) -> None:
    world = begun(offer(energy_wh=3_000, interval_ms=20_000), seed=seed, air=air, client_ppm=off_ppm, provider_ppm=0)
    world.run(LONG_MS)
    check_laws(world)


def test_a_lie_of_six_percent_is_found_once_it_passes_the_floor() -> None:
    world = play(offer(energy_wh=3_000), client_ppm=-60_000, provider_ppm=0)
    disputes = world.client.said(Dispute)
    assert len(disputes) == 1
    assert world.provider.finished[-1].agreed_wh == disputes[0].undisputed_wh
    assert world.provider.finished[-1].reason is Reason.METER_DISAGREEMENT


@given(seed=st.integers(0, 10**6), air=airs)
@settings(max_examples=15, deadline=None)
def test_each_side_can_replay_its_ledger_to_the_same_account(seed: int, air: Air) -> None:
    offered = offer(energy_wh=100, interval_ms=10_000)
    world = play(offered, seed=seed, air=air)
    for side in (world.provider, world.client):
        again = replay(offered, side.entries)
        settled = outcome(side)
        assert settled == (again.agreed_wh, again.amounts_micro, again.receipts) or settled == (0, (), 0)


def test_time_of_use_is_cut_at_its_edges_and_both_reckon_the_same() -> None:
    minute = WALL_MS // 60_000
    steps = tuple(PriceStep(minute + each, 100_000 * (1 + each)) for each in range(5))
    world = play(offer(energy_wh=600, price_kind=PriceKind.TIME_OF_USE, price_steps=steps))
    check_laws(world)
    assert sum(1 for each in outcome(world.client)[1] if each) >= 3


@pytest.mark.parametrize("client_clock_ms", [-1_500, 900])
def test_clocks_a_second_apart_stay_within_tolerance(client_clock_ms: int) -> None:
    world = play(offer(energy_wh=500), client_clock_ms=client_clock_ms)
    check_laws(world)
    assert world.provider.finished[-1].reason is Reason.ENERGY_REACHED


def test_a_client_that_never_plugs_in_costs_nobody_anything() -> None:
    world = play(offer(start_within_ms=20_000), plugged_ms=10**9)
    assert world.is_done
    assert outcome(world.provider) == outcome(world.client) == (0, (), 0)
    assert world.provider.finished[-1].reason is Reason.START_BY_PASSED
    assert world.provider.said(Close) == []
