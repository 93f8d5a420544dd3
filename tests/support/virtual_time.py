"""An event loop whose clock jumps to the next timer, so that hours of protocol time pass in milliseconds of test."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any

import pytest

STUCK_S = 10.0
"""Real seconds without a timer or a ready socket after which a test is called stuck (worker threads need some)."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; where the real one would sleep until a timer, it only adds the time up."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self.now_s += max(0.0, timeout)
            return []
        ready = super().select(STUCK_S)
        if not ready:
            raise RuntimeError("the test waits for something that nothing will ever do")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0 and moves only when every task waits. A worker thread is waited for only while no
    timer is: give it no deadline."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Join the worker threads without the deadline of Python 3.12 and later, to which the clock would jump."""
        await super().shutdown_default_executor()


def chosen_loop(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """For the hook `pytest_asyncio_loop_factories`: a test module names its clock as `loop_factory`, or has the real
    one."""
    module: Any = getattr(item, "module", None)
    return {"loop": getattr(module, "loop_factory", asyncio.new_event_loop)}
