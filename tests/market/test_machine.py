from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

import pytest

from market.errors import Reason, StepRefused
from market.machine import LedgerFailed, LinkLost, Machine, Received, Refused, Tick, rows, stamped
from market.terms import Interval, Ready, Stop, Void


class Light(Enum):
    OFF = 0
    ON = 1


class Watch(Enum):
    FIRST = 1
    SECOND = 2
    ALWAYS_OFF = 3


class Lamp(Machine[Light, object]):
    def _on(self, _: object) -> Sequence[object]:
        self._enter(Light.ON)
        self._wake(Watch.SECOND, self._now + 20)
        self._wake(Watch.FIRST, self._now + 10)
        self._wake(Watch.ALWAYS_OFF, self._now + 5)
        return ("on",)

    def _off(self, _: object = None) -> Sequence[object]:
        self._enter(Light.OFF)
        return ("off",)

    def _blink(self) -> Sequence[object]:
        return ("blink",)

    STEPS: ClassVar[Any] = {(Light.OFF, Ready): _on, (Light.ON, LinkLost): _off}
    ALWAYS: ClassVar[Any] = {Stop: _off}
    TIMEOUTS: ClassVar[Any] = {Watch.FIRST: _blink, Watch.SECOND: _off, Watch.ALWAYS_OFF: _blink}
    RUNS_IN: ClassVar[Any] = {
        Watch.FIRST: frozenset({Light.ON}),
        Watch.SECOND: frozenset({Light.ON}),
        Watch.ALWAYS_OFF: frozenset({Light.OFF}),
    }


READY = Received(Ready(1, bytes(8)))


def test_a_message_is_looked_up_by_its_type_and_moves_the_state() -> None:
    lamp = Lamp(Light.OFF, 0)
    assert lamp.handle(READY, 100) == ("on",)
    assert lamp.state is Light.ON


def test_what_the_table_lacks_is_the_peers_fault_or_the_callers() -> None:
    lamp = Lamp(Light.OFF, 0)
    lamp.handle(READY, 100)
    assert lamp.handle(READY, 101) == (Refused(READY.message, Reason.OUT_OF_STEP),)
    with pytest.raises(StepRefused, match="LedgerFailed is no step of Lamp in ON"):
        lamp.handle(LedgerFailed(), 102)
    assert (lamp.state, lamp.deadline_ms()) == (Light.ON, 110)


def test_timers_run_out_in_order_of_time_and_only_in_their_states() -> None:
    lamp = Lamp(Light.OFF, 0)
    assert lamp.deadline_ms() is None
    lamp.handle(READY, 100)
    assert lamp.deadline_ms() == 110
    assert lamp.handle(Tick(), 109) == ()
    assert lamp.handle(Tick(), 500) == ("blink", "off")
    assert lamp.deadline_ms() is None


def test_leaving_a_state_stops_its_timers() -> None:
    lamp = Lamp(Light.OFF, 0)
    lamp.handle(READY, 100)
    assert lamp.handle(LinkLost(), 101) == ("off",)
    assert lamp.deadline_ms() is None
    assert lamp.handle(Tick(), 500) == ()


def test_an_event_that_is_always_legal_needs_no_row() -> None:
    assert Lamp(Light.OFF, 0).handle(Received(Stop(1, Reason.SHUTDOWN)), 0) == ("off",)


def test_entries_are_stamped_at_their_commit_and_metered_times_are_left() -> None:
    assert stamped(Void(bytes(32), 0, Reason.WITHDRAWN), 77_999) == Void(bytes(32), 77, Reason.WITHDRAWN)
    interval = Interval(bytes(32), 0, 5, 6)
    assert stamped(interval, 77_999) == interval


def test_rows_gives_each_state_the_same_steps() -> None:
    step = Lamp._off
    assert rows((Light.OFF, Light.ON), {LinkLost: step}) == {
        (Light.OFF, LinkLost): step,
        (Light.ON, LinkLost): step,
    }
