from dataclasses import replace
from typing import Any

import pytest

from market.delivery import (
    Account,
    AllowPower,
    BeginPath,
    CutPower,
    Finished,
    OwnerLimit,
    OwnerStop,
    PathEnded,
    PathPrepared,
    ProviderDelivery,
    PushStatus,
    Reading,
    Restart,
    Stage,
    Written,
    replay,
)
from market.errors import Reason
from market.machine import Append, LedgerFailed, LinkResumed, Received, Refused, Repeat, Tick
from market.terms import (
    Alive,
    Close,
    Closed,
    Dispute,
    EntryBody,
    Interval,
    PowerState,
    PriceKind,
    PriceStep,
    Profile,
    Ready,
    SilenceRule,
    Start,
    Stop,
    Void,
)
from market.units import Role
from tests.support.market_stages import AT_MS, AT_S, Played, close, interval, provider_at, receipt, said
from tests.support.market_terms import CLIENT, PROVIDER, agreement, digest, offer

EDGE_MS = AT_MS + 60_000 - AT_MS % 60_000
"""The first full minute after the start, for a tariff's edge."""


def kinds(effects: list[Any]) -> list[type]:
    return [type(each) for each in effects]


def alive(played: Played) -> None:
    """The client answers the newest Status."""
    pushed = [each for each in played.effects if isinstance(each, PushStatus)]
    played.hear(Alive(pushed[-1].status.number if pushed else 0, 0))


def deliver(played: Played, seconds: range, wh_each: int, power_w: int = 7_200) -> list[Any]:
    """Readings each second, with a client that stays alive."""
    effects: list[Any] = []
    for second in seconds:
        effects += played.read(second, 5_000 + second * wh_each, power_w)
        alive(played)
    return effects


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


def test_a_receipt_that_overcharges_itself_is_disputed_and_power_goes_first() -> None:
    played = provider_at(Stage.DELIVERING)
    deliver(played, range(1, 61), 2)
    effects = played.hear(receipt(1, 70_120, 119, (35_700,)), "receipt1", digest("own2"))
    assert effects[0] == CutPower(Reason.METER_DISAGREEMENT)
    assert said(effects, Dispute) == [Dispute(CLIENT, 0, 1, 120, 120, 119)]
    assert said(effects, Stop)[0].reason is Reason.METER_DISAGREEMENT
    played.give(PathEnded())
    assert said(played.read(62, 5_121), Close) == [
        Close(CLIENT, 0, Reason.METER_DISAGREEMENT, 1, 119, (35_700,)),
    ]


def test_a_dispute_that_could_not_be_written_does_not_count() -> None:
    played = provider_at(Stage.DELIVERING)
    deliver(played, range(1, 61), 2)
    wrong = receipt(1, 70_120, 119, (35_700,))
    assert said(played.machine.handle(Received(wrong, digest("wrong"), digest("own2")), played.now_ms), Dispute)
    played.give(LedgerFailed())
    played.give(PathEnded())
    played.read(62, 5_121)
    right = played.hear(receipt(1, 70_120, 120, (36_000,)), "right", digest("own2"))
    assert said(right, Dispute) == []
    assert [each.agreed_wh for each in said(played.effects, Close)] == []


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


def test_the_last_interval_is_closed_after_its_receipt() -> None:
    played = provider_at(Stage.DELIVERING)
    deliver(played, range(1, 11), 2)
    played.give(OwnerStop(Reason.RESERVE_REACHED))
    assert said(played.effects, Stop)[-1].reason is Reason.ENERGY_UNAVAILABLE  # not the owner's reserve
    played.give(PathEnded())
    assert said(played.read(11, 5_021), Interval) == [interval(1, 11, 5_021)]
    effects = played.hear(receipt(1, 70_021, 21, (6_300,)), "r1", digest("own2"))
    assert said(effects, Close) == [Close(CLIENT, 0, Reason.ENERGY_UNAVAILABLE, 2, 21, (6_300,))]
    assert played.hear(Closed(PROVIDER, AT_S, 2, 21, (6_300,)), "closed") == [
        Finished(Reason.RESERVE_REACHED, 21, (6_300,), 2, answered=True)
    ]


def unreceipted() -> Played:
    played = provider_at(Stage.STOPPING)
    played.give(PathEnded())
    played.read(1, 5_021)
    return played


def test_a_missing_last_receipt_is_waited_for_and_then_closed_without() -> None:
    played = unreceipted()
    assert said(played.give(Tick(), wait_ms=9_999), Close) == []
    assert said(played.give(Tick(), wait_ms=1), Close)[0].receipts == 1


def test_a_late_receipt_supersedes_the_close_also_when_it_was_given_up() -> None:
    played = unreceipted()
    played.give(Tick(), wait_ms=10_000)
    assert played.give(Tick(), wait_ms=30_000) == [Finished(Reason.STOPPED_BY_OWNER, 0, (0,), 1, answered=False)]
    effects = played.hear(receipt(1, 70_021, 21, (6_300,)), "late", digest("own2"))
    assert said(effects, Close)[0].receipts == 2
    assert effects[-1] == Finished(Reason.STOPPED_BY_OWNER, 21, (6_300,), 2, answered=False)


def test_a_late_receipt_that_does_not_agree_leaves_the_close() -> None:
    played = unreceipted()
    played.give(Tick(), wait_ms=10_000)
    wrong = receipt(1, 70_021, 20, (6_000,))
    assert played.hear(wrong, "late", digest("own2")) == [Refused(wrong, Reason.METER_DISAGREEMENT)]


def test_of_two_closes_the_providers_stands() -> None:
    played = provider_at(Stage.DELIVERING)
    effects = played.hear(close(), "theirs")
    assert effects[0] == CutPower(Reason.ENERGY_REACHED)
    played.give(PathEnded())
    played.read(1, 5_000)
    assert played.machine.state is Stage.CLOSING
    assert played.hear(close(), "theirs") == []
    wrong = Closed(PROVIDER, AT_S, 1, 5, (1_500,))
    assert played.hear(wrong, "closed") == [Refused(wrong)]


def test_an_append_that_fails_is_a_stop_and_its_number_is_used_again() -> None:
    played = provider_at(Stage.DELIVERING)
    for second in range(1, 60):
        played.read(second, 5_000 + 2 * second, 7_200)
        alive(played)
    asked = played.machine.handle(*_reading(60, 5_120))
    assert said(list(asked), Interval) == [interval(1, 60, 5_120)]
    effects = played.give(LedgerFailed())
    assert effects[0] == CutPower(Reason.LEDGER_FAULT)
    played.give(PathEnded())
    assert said(played.read(62, 5_122), Interval) == [interval(1, 62, 5_122)]


def _reading(at_s: int, register_wh: int) -> tuple[Any, int]:
    return Reading(AT_MS + at_s * 1_000, register_wh, 7_200), at_s * 1_000


def test_no_last_reading_means_the_newest_one() -> None:
    played = provider_at(Stage.STOPPING)
    played.give(PathEnded())
    effects = played.give(Tick(), wait_ms=5_000)
    assert said(effects, Close)[0].receipts == 1


def test_start_by_voids_at_no_cost() -> None:
    played = provider_at(Stage.OPENING)
    effects = played.give(Tick(), wait_ms=300_000)
    assert CutPower(Reason.START_BY_PASSED) in effects
    assert said(effects, Void) == [Void(CLIENT, 0, Reason.START_BY_PASSED)]
    assert played.hear(receipt(0, 70_000), "crossed") == []
    assert played.give(PathEnded()) == [Finished(Reason.START_BY_PASSED, 0, (), 0, answered=True)]


def test_after_the_opening_receipt_start_by_has_no_meaning() -> None:
    played = provider_at(Stage.PAUSED)
    played.give(Tick(), wait_ms=300_000)
    assert played.machine.state is Stage.PAUSED


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


def test_a_restart_settles_what_was_receipted() -> None:
    entries: list[tuple[EntryBody, bytes]] = [(interval(0, 0, 5_000), digest("i0")), (receipt(0, 70_000), digest("r0"))]
    account = replay(offer(), entries)
    machine = ProviderDelivery(agreement(offer(), CLIENT), now_ms=0, account=account)
    played = Played(machine)
    effects = played.give(Restart(Reason.SHUTDOWN))
    assert effects[0] == CutPower(Reason.SHUTDOWN)
    assert said(effects, Stop) == [Stop(1, Reason.SHUTDOWN)]
    assert played.hear(Ready(7, bytes(8))) == [Refused(Ready(7, bytes(8)))]
    assert said(played.read(8, 5_020), Interval) == []
    played.give(PathEnded())
    assert said(played.read(9, 5_033), Interval) == [interval(1, 9, 5_033)]
    effects = played.hear(receipt(1, 70_033, 33, (9_900,)), "r1", digest("own1"))
    assert said(effects, Close)[0].agreed_wh == 33


@pytest.mark.parametrize(
    ("at_ms", "end_at_ms"),
    [(AT_MS + 3_600_000, EDGE_MS), (AT_MS - 1, AT_MS + 1)],
    ids=["hours later", "clock set back"],
)
def test_what_flowed_before_a_restart_belongs_to_the_price_of_that_time(at_ms: int, end_at_ms: int) -> None:
    steps = (PriceStep(AT_MS // 60_000, 300_000), PriceStep(EDGE_MS // 60_000, 900_000))
    offered = offer(price_kind=PriceKind.TIME_OF_USE, price_steps=steps)
    account = replay(offered, [(interval(0, 0, 5_000), digest("i0")), (receipt(0, 70_000), digest("r0"))])
    played = Played(ProviderDelivery(agreement(offered, CLIENT), now_ms=0, account=account))
    played.give(Restart(Reason.SHUTDOWN))
    played.give(PathEnded())
    [written] = said(played.give(Reading(at_ms, 5_033, 0)), Interval)
    assert (written.end_at_ms, written.register_wh) == (end_at_ms, 5_033)


@pytest.mark.parametrize("written", list(Written))
def test_a_restart_before_or_after_the_delivery(written: Written) -> None:
    account = replay(offer(), [(interval(0, 0, 5_000), digest("i0")), (receipt(0, 70_000), digest("r0"))])
    begun = written is not Written.NOTHING
    machine = ProviderDelivery(agreement(offer(), CLIENT), now_ms=0, account=account if begun else Account(offer()))
    played = Played(machine)
    effects = [*played.give(Restart(Reason.SHUTDOWN, written)), *played.give(PathEnded())]
    assert machine.state is (Stage.UNANSWERED if written is Written.CLOSE else Stage.FINISHED)
    assert [type(each.message) for each in effects if isinstance(each, Append)] == ([] if begun else [Void])
    assert [each.answered for each in effects if isinstance(each, Finished)] == [written is not Written.CLOSE]


def test_a_client_that_says_its_close_again_has_not_got_ours() -> None:
    played = provider_at(Stage.UNANSWERED)
    assert played.hear(close(), "c") == [Repeat(digest("receipt0"))]
    assert played.machine.state is Stage.UNANSWERED


def test_a_clients_dispute_stops_and_is_closed_at_the_undisputed_part() -> None:
    played = provider_at(Stage.DELIVERING)
    deliver(played, range(1, 61), 2)
    dispute = Dispute(PROVIDER, AT_S, 1, 120, 60, 60)
    assert played.hear(dispute, "d")[0] == CutPower(Reason.METER_DISAGREEMENT)
    played.give(PathEnded())
    assert said(played.read(61, 5_121), Close) == [Close(CLIENT, 0, Reason.METER_DISAGREEMENT, 1, 60, (18_000,))]
    assert played.hear(dispute, "d") == []
