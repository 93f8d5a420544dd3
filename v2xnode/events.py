"""What happened in this node, for people and programs: numbered, bounded, followed live.

An event is a fact after the fact: nothing waits for a listener, and a listener that is too slow loses its
subscription, not the node its pace. The ledger is the record; this is the news.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from v2xnode.clock import Clock
from v2xnode.errors import LocalError

MAX_EVENTS = 10_000
"""Events kept for a reader who comes back: about an hour of a busy delivery."""
MAX_WAITING = 1_000
"""Events that one listener may be behind before it is dropped."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. id rises by one; at_ms is UTC; session is a request id in hexadecimal, or empty."""

    id: int
    at_ms: int
    kind: str
    session: str
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "at_ms": self.at_ms, "kind": self.kind, "session": self.session, **self.data}


class EventLog:
    """The node's events: `tell` adds one, `follow` yields them as they come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._next_id = 1

    def tell(self, kind: str, session: bytes = b"", **data: Any) -> Event:
        """Record a fact and hand it to every listener."""
        event = Event(self._next_id, self._clock.wall_ms(), kind, session.hex(), data)
        self._next_id += 1
        self._events.append(event)
        for queue in list(self._listeners):
            if queue.qsize() >= MAX_WAITING:
                self._listeners.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)
        return event

    def since(self, last_id: int, kind: str | None = None) -> list[Event]:
        """The kept events after `last_id`, oldest first."""
        return [event for event in self._events if event.id > last_id and kind in (None, event.kind)]

    @contextmanager
    def listening(self) -> Generator[AsyncIterator[Event], None, None]:
        """Events from now on. The iterator raises LocalError `too_slow` when its reader fell too far behind."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._listeners.discard(queue)


async def _drain(queue: "asyncio.Queue[Event | None]") -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
    raise LocalError("This listener fell too far behind; read the log and follow again.", code="too_slow")
