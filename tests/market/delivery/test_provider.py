"""A provider's delivery while it runs: what power waits for, what cuts it, and when an interval ends."""

from dataclasses import replace
from typing import Any

import pytest

from market.delivery import (
    AllowPower,
    BeginPath,
    CutPower,
    OwnerLimit,
    PathPrepared,
    ProviderDelivery,
    PushStatus,
    Stage,
)
from market.errors import Reason
from market.machine import Append, LinkResumed, Refused, Tick
from market.terms import (
    Alive,
    Interval,
    PowerState,
    PriceKind,
    PriceStep,
    Profile,
    Ready,
    SilenceRule,
    Start,
)
from market.units import Role
from tests.support.market_stages import AT_MS, Played, alive, deliver, interval, provider_at, receipt, said
from tests.support.market_terms import CLIENT, agreement, digest, offer


def kinds(effects: list[Any]) -> list[type]:
    return [type(each) for each in effects]


def test_power_waits_for_ready_path_and_opening_receipt_in_that_order() -> None:
    played = provider_at(Stage.AGREED)
    assert kinds(played.control(Ready, nonce=b"12345678")) == [type(played.effects[0]), BeginPath]
    assert said(played.effects, Start)[0].nonce == b"12345678"
    opening = said(played.give(PathPrepared()), Interval)
    assert opening == [Interval(CLIENT, 0, AT_MS, 5_000)]
    assert not [each for each in played.effects if isinstance(each, AllowPower)]
    assert played.hear(receipt(0, 70_000), "r0", digest("own1")) == [AllowPower(11_000)]


def test_a_repeated_ready_gets_its_start_again_and_no_second_path() -> None:
    played = provider_at(Stage.PREPARING)
    effects = played.control(Ready, nonce=b"abcdefgh")
    assert [each.nonce for each in said(effects, Start)] == [b"abcdefgh"]
    assert BeginPath not in kinds(effects)


def test_the_opening_waits_for_a_first_reading() -> None:
    played = Played(ProviderDelivery(agreement(offer(), CLIENT), now_ms=0))
    played.control(Ready, nonce=bytes(8))
    assert played.give(PathPrepared()) == []
    assert said(played.read(3, 5_000), Interval) == [interval(0, 3, 5_000)]


def test_an_interval_answers_the_receipt_before_and_waits_for_its_own() -> None:
    played = provider_at(Stage.DELIVERING)
    cut = [each for each in deliver(played, range(1, 130), 2) if isinstance(each, Append)]
    assert [(each.answers, each.message) for each in cut] == [(digest("receipt0"), interval(1, 60, 5_120))]
    effects = played.hear(receipt(1, 70_120, 120, (36_000,)), "receipt1", digest("own2"))
    assert [(each.answers, each.message) for each in effects if isinstance(each, Append)] == [
        (digest("receipt1"), interval(2, 129, 5_258))
    ]


def test_half_the_exposure_ends_an_interval_before_it_is_passed() -> None:
    played = provider_at(Stage.DELIVERING, offer(exposure_wh=100))
    assert said(deliver(played, range(1, 30), 2), Interval)[0] == interval(1, 25, 5_050)


def test_without_receipts_the_power_falls_and_is_cut_before_the_exposure() -> None:
    played = provider_at(Stage.DELIVERING, offer(exposure_wh=100))
    effects = deliver(played, range(1, 60), 2)
    allowed = [each.power_w for each in effects if isinstance(each, AllowPower)]
    assert allowed == sorted(allowed, reverse=True)
    assert allowed[-1] < 11_000
    assert [each.reason for each in effects if isinstance(each, CutPower)] == [Reason.EXPOSURE_REACHED]


def test_a_meter_that_falls_silent_is_cut_before_the_exposure() -> None:
    played = provider_at(Stage.DELIVERING, offer(exposure_wh=100, silence=SilenceRule.TO_EXPOSURE))
    played.read(1, 5_002, 11_000)
    assert played.give(Tick(), wait_ms=28_000) != [CutPower(Reason.EXPOSURE_REACHED)]
    played.give(Tick(), wait_ms=1_500)
    assert played.machine.reason is Reason.EXPOSURE_REACHED


def test_silence_ends_it_or_goes_on_to_the_exposure_as_agreed() -> None:
    off = provider_at(Stage.DELIVERING)
    assert off.give(Tick(), wait_ms=2_999)[0] != CutPower(Reason.SILENCE)
    assert off.give(Tick(), wait_ms=1)[0] == CutPower(Reason.SILENCE)
    on = provider_at(Stage.DELIVERING, offer(silence=SilenceRule.TO_EXPOSURE))
    on.give(Tick(), wait_ms=60_000)
    assert on.machine.state is Stage.DELIVERING


def test_only_a_fresh_alive_is_a_sign_of_life() -> None:
    played = provider_at(Stage.DELIVERING)
    for _ in range(20):
        played.give(Tick(), wait_ms=900)
        alive(played)
    assert played.machine.state is Stage.DELIVERING
    for _ in range(4):
        played.give(Tick(), wait_ms=900)
        played.hear(Alive(3, 0))
    assert played.machine.reason is Reason.SILENCE


def test_a_new_link_is_a_sign_of_life() -> None:
    played = provider_at(Stage.DELIVERING)
    played.give(LinkResumed(), wait_ms=2_900)
    played.give(Tick(), wait_ms=2_900)
    assert played.machine.state is Stage.DELIVERING


def test_a_receipt_of_another_interval_is_refused() -> None:
    played = provider_at(Stage.DELIVERING)
    early = receipt(1, 70_000, 0, (0,))
    assert played.hear(early, "early") == [Refused(early)]
    deliver(played, range(1, 61), 2)
    right = receipt(1, 70_120, 120, (36_000,))
    assert played.hear(right, "foreign", digest("somebody else's")) == [Refused(right)]
    assert played.hear(receipt(0, 70_000), "receipt0") == []


@pytest.mark.parametrize(
    ("changes", "readings", "reason"),
    [
        ({"ends_at_ms": AT_MS + 5_000}, [(5, 5_010, 7_200)], Reason.WINDOW_ENDED),
        ({"power_min_w": 2_000}, [(1, 5_001, 3_000), (2, 5_002, 1_999)], Reason.BELOW_MIN_POWER),
        ({}, [(1, 4_999, 7_200)], Reason.REGISTER_ROLLBACK),
        ({"offer": replace(offer(), energy_wh=100)}, [(1, 5_049, 7_200), (2, 5_098, 7_200)], Reason.ENERGY_REACHED),
    ],
)
def test_it_ends_by_itself(changes: dict[str, Any], readings: list[tuple[int, int, int]], reason: Reason) -> None:
    played = provider_at(Stage.DELIVERING, **changes)
    effects = [played.read(*each) for each in readings]
    assert effects[-1][0] == CutPower(reason)
    assert all(CutPower not in kinds(each) for each in effects[:-1])


def test_towards_the_end_of_the_energy_the_power_falls() -> None:
    played = provider_at(Stage.DELIVERING, offer(energy_wh=20))
    assert AllowPower(11_000) not in played.read(1, 5_003, 11_000)
    allowed = [each for wh in (12, 15, 18) for each in played.read(wh // 3, 5_000 + wh, 11_000 - 500 * wh)]
    assert [each for each in allowed if isinstance(each, AllowPower)] == [
        AllowPower(9_600),
        AllowPower(6_000),
        AllowPower(2_400),
    ]
    assert played.read(7, 5_020, 0)[0] == CutPower(Reason.ENERGY_REACHED)


def test_at_the_end_of_the_energy_falling_below_the_minimum_is_no_fault_of_the_client() -> None:
    played = provider_at(Stage.DELIVERING, offer(energy_wh=20), power_min_w=6_500)
    played.read(1, 5_003, 11_000)
    assert AllowPower(6_500) in played.read(2, 5_015, 6_800)
    assert played.read(2, 5_015, 6_400)[0] == CutPower(Reason.ENERGY_REACHED)


def test_energy_that_only_the_reference_meter_has_seen_counts() -> None:
    offered = offer(energy_wh=130, profile=Profile.DC_BPT, reference=Role.CLIENT)
    played = provider_at(Stage.DELIVERING, offered)
    deliver(played, range(1, 61), 2)
    played.hear(receipt(1, 70_129, 129, (38_700,)), "receipt1", digest("own2"))
    assert played.read(61, 5_121, 1_000)[0] == CutPower(Reason.ENERGY_REACHED)


def test_a_draw_that_has_not_yet_begun_is_not_below_the_minimum() -> None:
    played = provider_at(Stage.DELIVERING, power_min_w=2_000)
    played.read(1, 5_000, 0)
    assert played.machine.state is Stage.DELIVERING


def test_tariff_edges_end_intervals_exactly_though_a_receipt_is_late() -> None:
    minute = AT_MS // 60_000
    steps = tuple(PriceStep(minute + more, 100_000 * (more + 1)) for more in range(3))
    offered = offer(price_kind=PriceKind.TIME_OF_USE, price_steps=steps)
    played = provider_at(Stage.DELIVERING, offered)
    edge = (minute + 1) * 60_000
    cut = said(deliver(played, range(1, 110), 2), Interval)
    assert [each.end_at_ms for each in cut] == [edge]
    wh = cut[0].register_wh - 5_000
    effects = played.hear(receipt(1, 70_000 + wh, wh, (wh * 100, 0, 0)), "r1", digest("own2"))
    assert [each.end_at_ms for each in said(effects, Interval)] == [edge + 60_000]


def test_status_is_numbered_each_period_and_says_where_the_path_is() -> None:
    played = provider_at(Stage.DELIVERING, offer(status_period_ms=500))
    played.read(0, 5_003, 7_200)
    pushed = []
    for _ in range(3):
        pushed += [each.status for each in played.give(Tick(), wait_ms=500) if isinstance(each, PushStatus)]
        alive(played)
    assert [each.number for each in pushed] == list(range(pushed[0].number, pushed[0].number + 3))
    assert (pushed[-1].delivered_wh, pushed[-1].power_w, pushed[-1].state) == (3, 7_200, PowerState.DELIVERING)


def test_a_limit_is_kept_through_a_receipt() -> None:
    played = provider_at(Stage.DELIVERING)
    assert AllowPower(4_000) in played.give(OwnerLimit(4_000))
    deliver(played, range(1, 61), 1, 4_000)
    effects = played.hear(receipt(1, 70_060, 60, (18_000,)), "r1", digest("own2"))
    assert [each for each in effects if isinstance(each, AllowPower)] == []
