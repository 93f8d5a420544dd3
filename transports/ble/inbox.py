"""Fragments of one link that wait for us, and its end."""

import asyncio
from collections import deque
from collections.abc import Callable

from transports.errors import LinkLost


class Inbox:
    """A bounded queue that can be ended. One receiver. ended: called once, when it is."""

    def __init__(self, most: int, ended: Callable[[], None] | None = None) -> None:
        self._most = most
        self._ended = ended
        self._waiting: deque[bytes] = deque()
        self._why_lost: str | None = None
        self._news = asyncio.Event()

    @property
    def lost(self) -> bool:
        """Nothing more comes."""
        return self._why_lost is not None

    def put(self, fragment: bytes) -> bool:
        """Whether there was room. Never waits; nothing is taken after the end."""
        if self.lost:
            return True
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(fragment)
        self._news.set()
        return True

    def end(self, why: str) -> None:
        """The first reason counts."""
        if self._why_lost is None:
            self._why_lost = why
            self._news.set()
            if self._ended is not None:
                self._ended()

    async def get(self) -> bytes:
        """The next one; after those that came before the end, raises LinkLost."""
        while not self._waiting:
            if self._why_lost is not None:
                raise LinkLost(self._why_lost)
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
