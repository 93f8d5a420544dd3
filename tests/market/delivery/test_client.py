from typing import Any

import pytest

from market.delivery import (
    AllowPower,
    BeginPath,
    ClientDelivery,
    CutPower,
    Finished,
    OwnerStop,
    PathEnded,
    PathPrepared,
    Plugged,
    Reading,
    Redial,
    Restart,
    Resubscribe,
    Stage,
    replay,
)
from market.delivery.intervals import most
from market.errors import Reason
from market.machine import Append, LedgerFailed, LinkLost, LinkResumed, Received, Refused, Repeat, Tell, Tick
from market.terms import (
    Alive,
    Close,
    Closed,
    Confirm,
    Dispute,
    EntryBody,
    Interval,
    PowerState,
    Ready,
    Receipt,
    Start,
    Status,
    Stop,
    Tolerance,
    Void,
)
from tests.support.market_stages import AT_MS, AT_S, Played, client_at, close, interval, receipt, said
from tests.support.market_terms import CLIENT, PROVIDER, agreement, counted_nonces, digest, offer


def metered(played: Played, at_s: int, provider_wh: int, client_wh: int) -> list[Any]:
    """Both meters at a second: our reading, then the Interval."""
    played.read(at_s, 70_000 + client_wh, 7_200)
    number = played.machine.account.receipts
    return played.hear(interval(number, at_s, 5_000 + provider_wh), f"i{number}")


def test_ready_is_said_with_a_nonce_and_only_its_echo_starts() -> None:
    played = client_at(Stage.STARTING)
    nonce = said(played.effects, Ready)[0].nonce
    wrong = Start(1, b"another!")
    assert played.hear(wrong) == [Refused(wrong)]
    assert played.control(Start, nonce=nonce) == [BeginPath()]


def test_a_start_after_ten_seconds_is_too_late_and_ready_is_said_anew() -> None:
    played = client_at(Stage.STARTING)
    old = said(played.effects, Ready)[0].nonce
    anew = said(played.give(Tick(), wait_ms=10_000), Ready)
    assert anew[0].nonce != old
    late = Start(1, old)
    assert played.hear(late) == [Refused(late)]
    assert played.control(Start, nonce=anew[0].nonce) == [BeginPath()]


def test_ready_may_go_ahead_of_the_confirm_which_a_void_then_answers() -> None:
    played = client_at(Stage.STARTING)
    played.hear(Confirm(PROVIDER, AT_S), "confirm")
    effects = played.give(OwnerStop(Reason.WITHDRAWN))
    voids = [each for each in effects if isinstance(each, Append)]
    assert [(each.answers, each.message) for each in voids] == [
        (digest("confirm"), Void(PROVIDER, 0, Reason.WITHDRAWN)),
    ]
    assert effects[-1] == Finished(Reason.WITHDRAWN, 0, (), 0, answered=True)


def test_the_opening_receipt_waits_for_our_own_path_and_power_for_the_receipt() -> None:
    played = client_at(Stage.PREPARING)
    assert played.hear(interval(0, 0, 5_000), "i0") == []
    effects = played.give(PathPrepared())
    assert [type(each) for each in effects] == [Append, AllowPower]
    assert said(effects, Receipt) == [Receipt(PROVIDER, 0, 70_000)]


def test_no_power_when_the_opening_receipt_could_not_be_written() -> None:
    machine = client_at(Stage.OPENING).machine
    asked = machine.handle(Received(interval(0, 0, 5_000), digest("i0")), 10)
    assert [type(each) for each in asked] == [Append]
    effects = machine.handle(LedgerFailed(), 11)
    assert effects[0] == CutPower(Reason.LEDGER_FAULT)
    assert not [each for each in effects if isinstance(each, Append | AllowPower)]
    assert machine.handle(PathEnded(), 12) == (Finished(Reason.LEDGER_FAULT, 0, (), 0, answered=True),)


def test_a_receipt_carries_our_register_interpolated_to_the_intervals_end() -> None:
    played = client_at(Stage.DELIVERING)
    played.read(59, 70_100)
    played.read(61, 70_105)
    effects = played.hear(interval(1, 60, 5_103), "i1")
    assert [(each.answers, each.message) for each in effects] == [
        (digest("i1"), Receipt(PROVIDER, 1, 70_102, 103, (30_900,))),
    ]


def test_an_interval_ahead_of_our_readings_waits_for_one_and_not_for_ever() -> None:
    played = client_at(Stage.DELIVERING)
    played.read(59, 70_100)
    assert played.hear(interval(1, 60, 5_103), "i1") == []
    assert said(played.read(61, 70_105), Receipt)[0].register_wh == 70_102
    assert played.hear(interval(2, 300, 5_110), "i2") == []
    assert said(played.give(Tick(), wait_ms=1_999), Receipt) == []
    assert said(played.give(Tick(), wait_ms=1), Receipt)[0].register_wh == 70_105


def test_a_repeated_interval_gets_the_stored_receipt() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    assert played.hear(interval(1, 60, 5_100), "i1") == [Repeat(digest("i1"))]
    other = interval(3, 60, 5_100)
    assert played.hear(other, "i3") == [Refused(other)]
    assert played.hear(interval(0, 0, 5_000), "interval0") == []


def test_an_interval_that_runs_backwards_is_a_stop() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    effects = played.hear(interval(2, 120, 5_099), "i2")
    assert effects[:2] == [
        Refused(interval(2, 120, 5_099), Reason.REGISTER_ROLLBACK),
        CutPower(Reason.REGISTER_ROLLBACK),
    ]
    assert said(effects, Receipt) == []


def test_meters_that_disagree_are_disputed_and_power_goes_first() -> None:
    played = client_at(Stage.DELIVERING)
    effects = metered(played, 60, 200, 100)
    assert effects[0] == CutPower(Reason.METER_DISAGREEMENT)
    assert said(effects, Dispute) == [Dispute(PROVIDER, 0, 1, 200, 100, 100)]
    assert said(effects, Receipt) == []
    played.give(PathEnded())
    assert said(played.hear(close(1, 100, (30_000,)), "c"), Closed)[0].agreed_wh == 100


def test_a_providers_dispute_takes_the_newest_receipt_back_to_its_undisputed_part() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    metered(played, 120, 200, 200)
    effects = played.hear(Dispute(PROVIDER, AT_S, 2, 200, 200, 150), "d")
    assert effects == [CutPower(Reason.METER_DISAGREEMENT)]
    account = played.machine.account
    assert (account.receipts, account.agreed_wh) == (2, 150)
    ahead = Dispute(PROVIDER, AT_S, 2, 200, 200, 150)
    assert played.hear(ahead, "d") == []


@pytest.mark.parametrize(
    ("offered_wh", "asked_wh", "received_wh", "goes_on"),
    [(1_000, 10_000, 1_030, True), (1_000, 10_000, 1_031, False), (9_000, 1_000, 1_031, False)],
)
def test_a_provider_that_does_not_stop_at_the_agreed_energy_is_stopped(
    offered_wh: int, asked_wh: int, received_wh: int, goes_on: bool
) -> None:
    offered = offer(energy_wh=offered_wh, tolerance=Tolerance(20, 30_000))
    played = client_at(Stage.DELIVERING, offered, energy_max_wh=asked_wh)
    effects = played.read(60, 70_000 + received_wh, 7_200)
    assert effects == ([] if goes_on else [CutPower(Reason.ENERGY_REACHED), *effects[1:]])
    assert played.machine.state is (Stage.DELIVERING if goes_on else Stage.STOPPING)


def test_our_own_register_falling_is_a_stop() -> None:
    assert client_at(Stage.DELIVERING).read(1, 69_999)[0] == CutPower(Reason.REGISTER_ROLLBACK)


def test_alive_each_period_names_the_newest_status() -> None:
    played = client_at(Stage.DELIVERING)
    played.hear(Status(7, 3, 7_200, PowerState.DELIVERING))
    played.hear(Status(6, 2, 7_200, PowerState.DELIVERING))
    played.read(0, 70_004)
    assert played.give(Tick(), wait_ms=1_000) == [Tell(Alive(7, 4))]


def test_on_a_new_link_no_status_is_named_before_one_is_heard() -> None:
    """The provider may have been restarted, and count from 1 again."""
    played = client_at(Stage.DELIVERING)
    played.hear(Status(7, 3, 7_200, PowerState.DELIVERING))
    played.give(LinkResumed())
    assert Tell(Alive(0, 0)) in played.give(Tick(), wait_ms=1_000)
    played.hear(Status(1, 3, 7_200, PowerState.DELIVERING))
    assert Tell(Alive(1, 0)) in played.give(Tick(), wait_ms=1_000)


def test_silence_subscribes_again_then_redials_and_at_last_ends() -> None:
    played = client_at(Stage.DELIVERING)
    played.hear(Status(1, 0, 0, PowerState.DELIVERING))
    found: list[tuple[int, object]] = []
    for second in range(1, 121):
        effects = played.give(Tick(), wait_ms=1_000)
        found += [(second, each) for each in effects if isinstance(each, Resubscribe | Redial | CutPower)]
    assert found[:3] == [(3, Resubscribe()), (6, Redial()), (9, Redial())]
    assert found[-1] == (120, CutPower(Reason.SILENCE))


def test_a_lost_link_is_redialled_and_a_new_one_starts_the_watch_afresh() -> None:
    played = client_at(Stage.DELIVERING)
    assert played.give(LinkLost(), wait_ms=2_000) == [Redial()]
    played.give(LinkResumed(), wait_ms=900)
    assert Resubscribe() not in played.give(Tick(), wait_ms=2_999)
    assert Resubscribe() in played.give(Tick(), wait_ms=1)


def test_a_close_that_lacks_our_last_receipt_gets_it_again() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    played.give(OwnerStop(Reason.CLIENT_FULL))
    played.give(PathEnded())
    assert played.hear(close(), "c1") == [Repeat(digest("i1"))]
    wrong = close(2, 99, (29_700,))
    assert played.hear(wrong, "c2") == [Refused(wrong)]
    effects = played.hear(close(2, 100, (30_000,)), "c3")
    assert said(effects, Closed) == [Closed(PROVIDER, 0, 2, 100, (30_000,))]
    assert effects[-1] == Finished(Reason.CLIENT_FULL, 100, (30_000,), 2, answered=True)
    assert played.hear(close(2, 100, (30_000,)), "c3") == [Repeat(digest("c3"))]
    assert played.hear(close(), "c1") == []


def test_a_provider_that_cuts_more_intervals_than_there_is_cause_for_is_stopped() -> None:
    """Each takes an entry of ours, which an attacker gets for nothing."""
    played = client_at(Stage.DELIVERING)
    played.read(60, 70_000)
    receipts, effects = 0, list[object]()
    while not said(effects, Stop):
        cut = Interval(CLIENT, receipts + 1, AT_MS + 1_001 + receipts, 5_000)
        effects = played.hear(cut, f"i{receipts + 1}")
        receipts += len(said(effects, Receipt))
        assert receipts < 100
    assert receipts == most(offer(), 60_000, 0)
    assert effects[:2] == [Refused(cut), CutPower(Reason.OUT_OF_STEP)]


def test_a_close_is_answered_only_when_our_path_is_off() -> None:
    played = client_at(Stage.DELIVERING)
    assert played.hear(close(), "c") == [CutPower(Reason.ENERGY_REACHED)]
    assert said(played.give(PathEnded()), Closed) == [Closed(PROVIDER, 0, 1, 0, (0,))]


def test_a_close_that_overtakes_an_open_interval_gets_the_receipt_first() -> None:
    played = client_at(Stage.DELIVERING)
    played.read(60, 70_100)
    played.hear(interval(1, 61, 5_100), "i1")
    played.hear(close(), "c1")
    effects = played.give(PathEnded())
    assert said(effects, Receipt)[0].agreed_wh == 100
    assert said(effects, Closed) == []


def test_an_older_close_that_comes_later_does_not_hide_the_newer_one() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    played.hear(close(2, 100, (30_000,)), "newer")
    played.hear(close(), "older")
    assert said(played.give(PathEnded()), Closed)[0].agreed_wh == 100


def test_a_close_that_overtakes_its_dispute_is_answered_once_that_is_here() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    metered(played, 120, 200, 200)
    played.give(OwnerStop())
    played.give(PathEnded())
    assert played.hear(close(2, 150, (45_000,)), "c") == [Repeat(digest("i2"))]
    effects = played.hear(Dispute(PROVIDER, AT_S, 2, 200, 200, 150), "d")
    assert said(effects, Closed) == [Closed(PROVIDER, 0, 2, 150, (45_000,))]


def test_a_provider_that_does_not_close_is_closed_and_its_own_close_still_stands() -> None:
    played = client_at(Stage.SETTLING)
    assert said(played.give(Tick(), wait_ms=30_000), Close) == [
        Close(PROVIDER, 0, Reason.STOPPED_BY_OWNER, 1, 0, (0,)),
    ]
    assert played.give(Tick(), wait_ms=30_000) == [Finished(Reason.STOPPED_BY_OWNER, 0, (0,), 1, answered=False)]
    assert played.hear(close(), "theirs")[-1] == Finished(Reason.STOPPED_BY_OWNER, 0, (0,), 1, answered=True)


def test_a_void_that_crossed_the_opening_receipt_ends_it_at_no_cost() -> None:
    played = client_at(Stage.DELIVERING)
    void = Void(PROVIDER, AT_S, Reason.START_BY_PASSED)
    assert played.hear(void, "v") == [CutPower(Reason.START_BY_PASSED)]
    assert played.give(PathEnded()) == [Finished(Reason.START_BY_PASSED, 0, (), 0, answered=True)]


def test_after_energy_was_receipted_a_void_is_refused() -> None:
    played = client_at(Stage.DELIVERING)
    metered(played, 60, 100, 100)
    void = Void(PROVIDER, AT_S, Reason.WITHDRAWN)
    assert played.hear(void, "v") == [Refused(void)]


def test_a_receipt_that_could_not_be_written_does_not_count() -> None:
    played = client_at(Stage.DELIVERING)
    played.read(60, 70_100)
    machine = played.machine
    machine.handle(Received(interval(1, 60, 5_100), digest("i1")), 60_000)
    effects = machine.handle(LedgerFailed(), 60_001)
    assert effects[0] == CutPower(Reason.LEDGER_FAULT)
    assert machine.account.receipts == 1
    machine.handle(PathEnded(), 60_002)
    again = machine.handle(Reading(AT_MS + 61_000, 70_100, 0), 60_003)
    assert said(list(again), Receipt)[0].number == 1


@pytest.mark.parametrize("stage", [Stage.DELIVERING, Stage.SETTLING])
def test_a_dispute_that_could_not_be_written_takes_no_receipt_back(stage: Stage) -> None:
    """Or the same number would be receipted twice, in two ways."""
    played = client_at(stage)
    played.read(60, 70_100)
    machine = played.machine
    disputing = machine.handle(Received(interval(1, 60, 5_200), digest("i1")), 60_000)
    assert said(list(disputing), Dispute)
    machine.handle(LedgerFailed(), 60_001)
    assert (machine.account.receipts, machine.account.disputed) == (1, False)
    assert machine.account.open == interval(1, 60, 5_200)


def test_a_restart_stops_and_receipts_what_is_left() -> None:
    entries: list[tuple[EntryBody, bytes]] = [
        (interval(0, 0, 5_000), digest("i0")),
        (receipt(0, 70_000), digest("r0")),
        (interval(1, 60, 5_100), digest("i1")),
    ]
    machine = ClientDelivery(agreement(offer(), PROVIDER), counted_nonces(), now_ms=0, account=replay(offer(), entries))
    played = Played(machine)
    effects = played.give(Restart())
    assert effects[0] == CutPower(Reason.SHUTDOWN)
    assert [type(each) for each in said(effects, Stop)] == [Stop]
    effects = played.read(90, 70_100)
    assert [(each.answers, each.message.agreed_wh) for each in effects] == [(digest("i1"), 100)]


@pytest.mark.parametrize(("first_wh", "register_wh"), [(70_160, 70_100), (70_090, 70_090)])
def test_a_register_that_nobody_read_is_what_the_provider_says_as_far_as_our_meter_leaves_room(
    first_wh: int, register_wh: int
) -> None:
    entries: list[tuple[EntryBody, bytes]] = [
        (interval(0, 0, 5_000), digest("i0")),
        (receipt(0, 70_000), digest("r0")),
        (interval(1, 60, 5_100), digest("i1")),
    ]
    account = replay(offer(), entries)
    played = Played(ClientDelivery(agreement(offer(), PROVIDER), counted_nonces(), now_ms=0, account=account))
    played.give(Restart())
    assert [each.register_wh for each in said(played.read(90, first_wh), Receipt)] == [register_wh]


def test_a_plug_that_comes_again_or_too_late_says_nothing() -> None:
    played = client_at(Stage.AGREED)
    assert [type(each.message) for each in played.give(Plugged())] == [Ready]
    assert played.give(Plugged()) == []
    assert client_at(Stage.FINISHED).give(Plugged()) == []
