"""How a provider's delivery ends: disputes, last receipts, closes that cross, and what a restart settles."""

from typing import Any

import pytest

from market.delivery import (
    Account,
    CutPower,
    Finished,
    OwnerStop,
    PathEnded,
    ProviderDelivery,
    Reading,
    Restart,
    Stage,
    Written,
    replay,
)
from market.errors import Reason
from market.machine import Append, LedgerFailed, Received, Refused, Repeat, Tick
from market.terms import (
    Close,
    Closed,
    Dispute,
    EntryBody,
    Interval,
    PriceKind,
    PriceStep,
    Ready,
    Stop,
    Void,
)
from tests.support.market_stages import AT_MS, AT_S, Played, alive, close, deliver, interval, provider_at, receipt, said
from tests.support.market_terms import CLIENT, PROVIDER, agreement, digest, offer

EDGE_MS = AT_MS + 60_000 - AT_MS % 60_000
"""The first full minute after the start, for a tariff's edge."""


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
