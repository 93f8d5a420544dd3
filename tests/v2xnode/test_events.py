"""Events are numbered without gaps, kept within bounds, and a slow listener is dropped aloud."""

import asyncio

import pytest

from tests.v2xnode.test_clock import fixed
from v2xnode.errors import LocalError
from v2xnode.events import MAX_EVENTS, MAX_WAITING, EventLog


def test_ids_rise_by_one_and_the_log_is_bounded() -> None:
    log = EventLog(fixed(1, 0))
    for number in range(MAX_EVENTS + 5):
        log.tell("tick", number=number)
    kept = log.since(0)
    assert len(kept) == MAX_EVENTS
    assert [event.id for event in kept] == list(range(6, MAX_EVENTS + 6))
    assert log.since(MAX_EVENTS + 4, "tick")[0].data == {"number": MAX_EVENTS + 4}
    assert log.since(0, "tock") == []


async def test_a_listener_gets_what_comes_after_it_began() -> None:
    log = EventLog(fixed(1, 0))
    log.tell("before")
    with log.listening() as events:
        log.tell("after", b"\x01", power_w=5)
        event = await asyncio.wait_for(anext(events), 1)
    assert event.as_json() == {"id": 2, "at_ms": 1_000_000, "kind": "after", "session": "01", "power_w": 5}


async def test_a_listener_that_is_too_slow_is_told_so() -> None:
    log = EventLog(fixed(1, 0))
    with log.listening() as events:
        for _ in range(MAX_WAITING + 10):
            log.tell("tick")
        with pytest.raises(LocalError, match="too far behind"):
            _ = [event async for event in events]
