"""The clock that jumps."""

import asyncio
import time

import pytest

from tests.support.virtual_time import VirtualTimeLoop


def test_a_day_passes_at_once_and_in_order() -> None:
    woken = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((seconds, round(asyncio.get_running_loop().time())))

    async def day() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (86_400, 60, 3_600)))

    before_s = time.monotonic()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(day())
    assert time.monotonic() - before_s < 5
    assert woken == [(60, 60), (3_600, 3_600), (86_400, 86_400)]


def test_worker_threads_are_waited_for() -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(asyncio.to_thread(sum, [1, 2])) == 3


def test_a_wait_for_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.virtual_time.STUCK_S", 0.0)
    loop = VirtualTimeLoop()
    forever = loop.create_future()
    with pytest.raises(RuntimeError, match="nothing will ever do"):
        loop.run_until_complete(forever)
    loop.close()
