"""What both sides do alike is tested on both."""

from collections.abc import Callable
from typing import Any

import pytest

from market.delivery import (
    AllowPower,
    BeginPath,
    CutPower,
    Finished,
    OwnerLimit,
    OwnerPause,
    OwnerStop,
    OwnPlug,
    PathEnded,
    PathPrepared,
    PlugHeard,
    Stage,
    SuspendPath,
)
from market.errors import Reason, StepRefused
from market.machine import Append, LedgerFailed, LinkResumed, Tick
from market.terms import Pause, Plug, PlugStep, PowerLimit, Stop, Void
from tests.support.market_stages import AT_S, Played, client_at, provider_at, said
from tests.support.market_terms import PROVIDER, offer

At = Callable[..., Played]
both = pytest.mark.parametrize("at", [provider_at, client_at])
before_power = pytest.mark.parametrize("stage", [Stage.AGREED, Stage.PREPARING, Stage.OPENING])
powered = pytest.mark.parametrize("stage", [Stage.DELIVERING, Stage.PAUSED, Stage.RESUMING])
pytestmark = both


@before_power
def test_before_power_a_stop_of_the_owner_is_a_void(at: At, stage: Stage) -> None:
    played = at(stage)
    effects = played.give(OwnerStop(Reason.DAILY_CAP_REACHED))
    assert said(effects, Void)[0].reason is Reason.ENERGY_UNAVAILABLE
    if stage is not Stage.AGREED:
        assert effects[0] == CutPower(Reason.DAILY_CAP_REACHED)
        effects = played.give(PathEnded())
    assert effects[-1] == Finished(Reason.DAILY_CAP_REACHED, 0, (), 0, answered=True)


@before_power
def test_before_power_the_peer_ends_it_by_void_or_stop(at: At, stage: Stage) -> None:
    voided = at(stage)
    effects = voided.hear(Void(PROVIDER, AT_S, Reason.WITHDRAWN), "v")
    assert not [each for each in effects if isinstance(each, Append)]
    assert voided.machine.state in (Stage.VOIDING, Stage.FINISHED)
    stopped = at(stage)
    stopped.control(Stop, reason=Reason.STOPPED_BY_OWNER)
    assert stopped.machine.reason is Reason.STOPPED_BY_PEER


@powered
def test_a_stop_cuts_power_first_and_latches(at: At, stage: Stage) -> None:
    played = at(stage)
    effects = played.give(OwnerStop())
    assert effects[0] == CutPower(Reason.STOPPED_BY_OWNER)
    assert [each.reason for each in said(effects, Stop)] == [Reason.STOPPED_BY_OWNER]
    for late in (OwnerPause(False), OwnerStop(), OwnerLimit(11_000)):
        assert played.give(late) == []
    played.control(Pause, paused=False)
    played.control(PowerLimit, power_max_w=11_000)
    if stage is not Stage.PAUSED:
        played.give(PathPrepared())
    after = played.effects[played.effects.index(effects[0]) :]
    assert [each for each in after if isinstance(each, AllowPower | BeginPath)] == []
    assert played.machine.reason is Reason.STOPPED_BY_OWNER


@powered
def test_a_peers_stop_is_obeyed_however_late_its_number(at: At, stage: Stage) -> None:
    played = at(stage)
    played.seq = 50
    played.control(PowerLimit, power_max_w=9_000)
    effects = played.hear(Stop(1, Reason.CLIENT_FULL))
    assert effects[0] == CutPower(Reason.CLIENT_FULL)
    assert said(effects, Stop) == []


def test_a_stop_is_told_again_until_it_is_settled(at: At) -> None:
    played = at(Stage.STOPPING)
    numbers = [each.seq for _ in range(3) for each in said(played.give(Tick(), wait_ms=1_000), Stop)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_a_path_that_never_reports_its_end_is_taken_as_ended(at: At) -> None:
    played = at(Stage.STOPPING)
    played.give(Tick(), wait_ms=30_000)
    assert played.machine.state is not Stage.STOPPING
    voiding = at(Stage.VOIDING)
    assert isinstance(voiding.give(Tick(), wait_ms=30_000)[-1], Finished)


def test_pause_opens_the_path_and_going_on_walks_it_again(at: At) -> None:
    played = at(Stage.DELIVERING)
    effects = played.give(OwnerPause(True))
    assert effects[0] == SuspendPath()
    assert [each.paused for each in said(effects, Pause)] == [True]
    assert played.give(OwnerPause(True)) == []
    effects = played.give(OwnerPause(False))
    assert BeginPath() not in effects  # not before the path has ended
    assert played.give(PathEnded()) == [BeginPath()]
    assert AllowPower(11_000) in played.give(PathPrepared())


def test_a_pause_lasts_until_both_sides_go_on(at: At) -> None:
    played = at(Stage.PAUSED)
    played.give(PathEnded())
    played.control(Pause, paused=True)
    played.give(OwnerPause(False))
    assert played.machine.state is Stage.PAUSED
    assert played.control(Pause, paused=False) == [BeginPath()]


def test_a_pause_while_resuming_opens_the_path_again(at: At) -> None:
    played = at(Stage.RESUMING)
    assert played.control(Pause, paused=True) == [SuspendPath()]
    assert played.machine.state is Stage.PAUSED


def test_a_pause_that_lasts_too_long_ends_it(at: At) -> None:
    played = at(Stage.PAUSED, offer(pause_max_ms=4_000))
    played.give(Tick(), wait_ms=3_999)
    assert played.machine.state is Stage.PAUSED
    assert played.give(Tick(), wait_ms=1)[0] == CutPower(Reason.PAUSE_EXPIRED)


def test_pausing_on_and_off_does_not_prolong_the_pause(at: At) -> None:
    played = at(Stage.RESUMING, offer(pause_max_ms=4_000))
    played.give(OwnerPause(True), wait_ms=3_000)
    played.give(Tick(), wait_ms=1_000)
    assert played.machine.reason is Reason.PAUSE_EXPIRED


def test_before_power_there_is_nothing_to_pause(at: At) -> None:
    with pytest.raises(StepRefused):
        at(Stage.PREPARING).give(OwnerPause(True))


def test_a_peers_limit_only_tightens_while_the_owners_may_rise(at: At) -> None:
    played = at(Stage.DELIVERING)
    assert played.control(PowerLimit, power_max_w=6_000) == [AllowPower(6_000)]
    assert played.control(PowerLimit, power_max_w=9_000) == []
    effects = played.give(OwnerLimit(4_000))
    assert effects[0] == AllowPower(4_000)
    assert [each.power_max_w for each in said(effects, PowerLimit)] == [4_000]
    assert played.give(OwnerLimit(10_000))[0] == AllowPower(6_000)


@pytest.mark.parametrize("stage", [Stage.PREPARING, Stage.DELIVERING])
def test_a_limit_below_the_agreed_minimum_ends_it(at: At, stage: Stage) -> None:
    played = at(stage, power_min_w=2_000)
    assert played.control(PowerLimit, power_max_w=1_999)[0] == CutPower(Reason.BELOW_MIN_POWER)


def test_a_limit_of_nothing_is_no_end_where_no_minimum_was_agreed(at: At) -> None:
    played = at(Stage.DELIVERING)
    assert played.control(PowerLimit, power_max_w=0) == [AllowPower(0)]
    assert played.machine.state is Stage.DELIVERING


@powered
def test_a_path_that_fails_ends_it_with_its_reason(at: At, stage: Stage) -> None:
    played = at(stage)
    effects = played.give(PathEnded(Reason.POWER_FAULT))
    assert effects[0] == CutPower(Reason.POWER_FAULT)
    assert played.machine.state in (Stage.READING, Stage.SETTLING)


def test_a_wrong_plug_is_a_void(at: At) -> None:
    effects = at(Stage.PREPARING).give(PathEnded(Reason.WRONG_PLUG))
    assert said(effects, Void)[0].reason is Reason.WRONG_PLUG
    assert isinstance(effects[-1], Finished)


def test_a_ledger_that_fails_before_power_ends_it_without_an_entry(at: At) -> None:
    effects = at(Stage.PREPARING).give(LedgerFailed())
    assert effects[0] == CutPower(Reason.LEDGER_FAULT)
    assert [each.reason for each in said(effects, Stop)] == [Reason.LEDGER_FAULT]
    assert said(effects, Void) == []


def test_a_ledger_that_fails_at_the_end_is_said_in_the_outcome(at: At) -> None:
    effects = at(Stage.CLOSING).give(LedgerFailed())
    assert effects == [Finished(Reason.LEDGER_FAULT, 0, (0,), 1, answered=False)]


def test_plug_words_are_numbered_and_handed_to_the_interlock(at: At) -> None:
    played = at(Stage.PREPARING)
    before = played.machine.counters.sent
    assert said(played.give(OwnPlug(1, PlugStep.PATTERN, 99)), Plug) == [Plug(before + 1, 1, PlugStep.PATTERN, 99)]
    effects = played.control(Plug, round=1, step=PlugStep.VERIFIED, pattern=99)
    assert [type(each) for each in effects] == [PlugHeard]


def test_stale_control_is_passed_over(at: At) -> None:
    played = at(Stage.DELIVERING)
    played.seq = 9
    played.control(PowerLimit, power_max_w=6_000)
    assert played.hear(PowerLimit(10, 3_000)) == []
    assert played.hear(Pause(4, True)) == []
    assert played.machine.state is Stage.DELIVERING
    assert played.machine.counters.heard == 10


def test_refused_control_does_not_count_as_heard(at: At) -> None:
    played = at(Stage.PREPARING)
    before = played.machine.counters
    played.hear(Pause(77, True))
    assert played.machine.counters == before


def test_a_new_link_hears_what_still_holds(at: At) -> None:
    played = at(Stage.DELIVERING)
    played.give(OwnPlug(1, PlugStep.VERIFIED, 5))
    played.give(OwnerLimit(4_000))
    played.give(OwnerPause(True))
    effects: list[Any] = [each.message for each in played.give(LinkResumed())]
    assert [type(each) for each in effects] == [Plug, Pause, PowerLimit]
    stopped = at(Stage.STOPPING)
    assert [type(each.message) for each in stopped.give(LinkResumed())] == [Stop]
