"""Keeps the bearers of a node open: one that can't be opened is tried again, and the others serve meanwhile.

A radio that is off, a network that is not up yet, a daemon that restarts are no reason to stop selling over the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from transports.errors import TransportError
from transports.interface import Handler, Transport
from v2xnode.events import EventLog
from v2xnode.groups import errors_as_they_are

AGAIN_S = 1.0
"""Real time before a bearer that failed is opened again; twice as long after each failure in a row."""
RARELY_S = 60.0
"""At most so long; and a bearer that was open for as long has not failed in a row."""
OPEN_S = 3.0
"""Real time that a starting node gives its bearers; one that needs longer joins later, for what a restart left on the
power path can't wait."""


@dataclass(slots=True)
class Keeper:
    """One bearer's. problem: why it is not open; None while it is."""

    transport: Transport
    handler: Handler
    events: EventLog
    stopping: asyncio.Event
    problem: TransportError | None = None
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until told to stop. What is not the bearer's own error is a bug, and passes."""
        wait_s = AGAIN_S
        while not self.stopping.is_set():
            began_s = _now_s()
            try:
                async with self.transport.serving(self.handler):
                    self._opened()
                    await self.stopping.wait()
            except TransportError as problem:
                wait_s = AGAIN_S if _now_s() - began_s >= RARELY_S else wait_s
                self._failed(problem, wait_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self.stopping.wait()
                wait_s = min(2 * wait_s, RARELY_S)

    def as_json(self) -> dict[str, Any]:
        """What the bearer carried; and why it is not open, where it is not."""
        problem = self.problem
        told = None if problem is None else {"code": problem.code, "sentence": str(problem)}
        return {**self.transport.counters(), "problem": told}

    def _opened(self) -> None:
        if self.problem is not None:
            self.events.tell("bearer_open", bearer=self.transport.name)
        self.problem = None
        self.tried.set()

    def _failed(self, problem: TransportError, again_s: float) -> None:
        self.problem = problem
        name = self.transport.name
        self.events.tell("bearer_failed", bearer=name, code=problem.code, sentence=str(problem), again_s=again_s)
        self.tried.set()


@asynccontextmanager
async def kept_open(
    transports: Iterable[Transport], handler: Callable[[str], Handler], events: EventLog
) -> AsyncIterator[Sequence[Keeper]]:
    """Keep these open for as long as the context lasts. handler: of a bearer, by its name.

    Raises what the first one says when all fail at the start.
    """
    stopping = asyncio.Event()
    keepers = [Keeper(each, handler(each.name), events, stopping) for each in transports]
    with errors_as_they_are():
        async with asyncio.TaskGroup() as group:
            for keeper in keepers:
                group.create_task(keeper.run())
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(OPEN_S):
                        for keeper in keepers:
                            await keeper.tried.wait()
                problems = [keeper.problem for keeper in keepers if keeper.problem is not None]
                if problems and len(problems) == len(keepers):
                    raise problems[0]
                yield keepers
            finally:
                stopping.set()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
