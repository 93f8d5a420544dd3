"""Several ways to the same end, tried in waves: the next begins when the last has failed, or has had its head start.

As "happy eyeballs" does for two families of addresses (RFC 8305, section 5): the better way wins where it works, and a
dead one costs the head start and no more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

HEAD_START_S = 1.5
"""Real time: one exchange with a retransmission on a link of 300 ms each way."""

Attempt = Callable[[], Awaitable[T | None]]
"""One way; None when it fails."""
Wave = Sequence[Attempt[T]]
"""Ways that are tried at the same time."""


@dataclass(slots=True)
class Race(Generic[T]):
    """One race. leave: gives back what a second winner got; it must not raise."""

    leave: Callable[[T], Awaitable[None]]
    _waves: list[Wave[T]] = field(default_factory=list)
    _running: "set[asyncio.Future[T | None]]" = field(default_factory=set)
    _next_s: float = 0.0

    async def run(self, waves: Iterable[Wave[T]], more: Awaitable[Iterable[Wave[T]]] | None = None) -> T | None:
        """What the first way that succeeded got; None when all failed. more: further waves, sought meanwhile.

        The winner waits for nobody: the others are given up beside it.
        """
        self._waves += waves
        seeking: set[asyncio.Future[Any]] = set() if more is None else {asyncio.ensure_future(more)}
        try:
            while self._waves or self._running or seeking:
                self._begin()
                done = await self._wait(seeking)
                for task in done & self._running:
                    self._running.discard(task)
                    won: T | None = task.result()
                    if won is not None:
                        return won
                for found in done & seeking:
                    self._waves += found.result()
                seeking -= done
            return None
        finally:
            if seeking or self._running:
                clearing = asyncio.create_task(self._clear(seeking))
                _CLEARING.add(clearing)
                clearing.add_done_callback(_CLEARING.discard)

    def _begin(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._waves and (not self._running or now_s >= self._next_s):
            self._running |= {asyncio.ensure_future(attempt()) for attempt in self._waves.pop(0)}
            self._next_s = now_s + HEAD_START_S

    async def _wait(self, seeking: "set[asyncio.Future[Any]]") -> "set[asyncio.Future[Any]]":
        """Until something is done, or the next wave is due."""
        waiting = self._running | seeking
        if not waiting:
            return set()  # an empty wave
        left_s = max(0.0, self._next_s - asyncio.get_running_loop().time()) if self._waves else None
        done, _ = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        return done

    async def _clear(self, seeking: "set[asyncio.Future[Any]]") -> None:
        """Give up the others, and give back what they had got meanwhile."""
        for task in seeking | self._running:
            task.cancel()
        await asyncio.gather(*seeking, return_exceptions=True)
        for left in await asyncio.gather(*self._running, return_exceptions=True):
            if left is not None and not isinstance(left, BaseException):
                await self.leave(left)


_CLEARING: set["asyncio.Task[None]"] = set()
"""So that nobody forgets them while they run."""
