"""The dialer's side of one pipe: numbers what it asks and sorts what comes back."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transports.duplex.message import MAX_NUMBER, Kind, Message, decode
from transports.duplex.outbox import Outbox
from transports.duplex.pipe import Pipe
from transports.errors import LinkLost, Malformed

MAX_REQUESTS_UNDER_WAY = 48
"""Of one pipe, below what an acceptor works on at once; more wait for their turn."""
MAX_PUSHES_WAITING = 16
"""Newest states not yet taken by the layer above; then the oldest goes, which a newer one has overtaken anyway."""


class Trunk:
    """One pipe, used by all links to its peer. `run` has to be running."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._outbox = Outbox(pipe)
        self._turns = asyncio.Semaphore(MAX_REQUESTS_UNDER_WAY)
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._followed: dict[int, Pushes] = {}
        self._number = 0
        self._why_lost: str | None = None

    @property
    def lost(self) -> bool:
        return self._why_lost is not None or self._number >= MAX_NUMBER

    async def run(self) -> None:
        """Carry messages until the pipe is lost, or this is cancelled; then all that waits is told."""
        sending = asyncio.create_task(self._send())
        why = "the link was closed"
        try:
            while True:
                self._hear(decode(await self._pipe.receive(), from_dialer=False))
        except LinkLost as problem:
            why = str(problem)
        except Malformed as problem:
            why = f"the peer does not keep to the protocol ({problem})"
        finally:
            sending.cancel()
            self._lose(why)
            await asyncio.gather(sending, return_exceptions=True)
            await self._pipe.aclose()

    async def aclose(self, why: str) -> None:
        """Tell all that waits, and close the pipe; idempotent."""
        self._lose(why)
        await self._pipe.aclose()

    async def request(self, frame: bytes) -> bytes:
        """The answer. Raises LinkLost when the pipe is lost meanwhile; cancelling tells the peer."""
        async with self._turns:
            number = self._next()
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._asked[number] = answer
            self._outbox.put(Message(Kind.REQUEST, number, frame))
            try:
                return await answer
            finally:
                del self._asked[number]
                if not answer.done() or answer.cancelled():
                    self._withdraw(Kind.REQUEST, number)

    @asynccontextmanager
    async def subscription(self, frame: bytes, timeout_ms: int) -> AsyncIterator["Pushes"]:
        """Raises LinkLost when it was not opened in time, or is refused."""
        number = self._next()
        pushes = self._followed[number] = Pushes()
        self._outbox.put(Message(Kind.SUBSCRIBE, number, frame))
        try:
            await pushes.opened(timeout_ms)
            yield pushes
        finally:
            del self._followed[number]
            if not pushes.ended_there:
                self._withdraw(Kind.SUBSCRIBE, number)

    def _next(self) -> int:
        if self._why_lost is not None:
            raise LinkLost(self._why_lost)
        if self._number >= MAX_NUMBER:
            raise LinkLost("this connection has carried all that it may: dial again")
        self._number += 1
        return self._number

    def _withdraw(self, kind: Kind, number: int) -> None:
        if not self._outbox.take_back(kind, number):
            self._outbox.put(Message(Kind.CANCEL, number))

    async def _send(self) -> None:
        """A pipe that can't send is lost; closing it ends the receiving side too."""
        try:
            await self._outbox.run()
        except LinkLost:
            await self._pipe.aclose()

    def _hear(self, message: Message) -> None:
        """What belongs to nothing under way comes late, and is of no use."""
        if message.kind is Kind.ANSWER:
            answer = self._asked.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message.frame)
        elif message.number in self._followed:
            pushes = self._followed[message.number]
            if message.kind is Kind.PUSH:
                pushes.take(message.frame)
            else:
                pushes.end(there=True)

    def _lose(self, why: str) -> None:
        self._why_lost = self._why_lost or why
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(LinkLost(why))
        for pushes in self._followed.values():
            pushes.end(why, there=True)


class Pushes:
    """What a subscription brings: its opening answer, then the newest states. Ends when the acceptor ends it."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._opening_taken = False
        self._ended = False
        self.ended_there = False
        """By the acceptor, or with the pipe: nobody has to be told."""
        self._why_lost: str | None = None
        self._news = asyncio.Event()

    async def opened(self, timeout_ms: int) -> None:
        """Raises LinkLost."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not self._waiting and not self._ended:
                    await self._wait()
        except TimeoutError:
            raise LinkLost(f"the subscription was not opened in {timeout_ms} ms") from None
        if not self._waiting:
            raise LinkLost(self._why_lost or "the subscription was refused")

    def take(self, frame: bytes) -> None:
        if len(self._waiting) >= MAX_PUSHES_WAITING:
            del self._waiting[0 if self._opening_taken else 1]
        self._waiting.append(frame)
        self._news.set()

    def end(self, why_lost: str | None = None, *, there: bool = False) -> None:
        """No more comes. why_lost: then what waits is still given, and LinkLost after it. there: see `ended_there`."""
        self.ended_there = self.ended_there or there
        if not self._ended:
            self._ended, self._why_lost = True, why_lost
            self._news.set()

    def __aiter__(self) -> "Pushes":
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._why_lost is not None:
                raise LinkLost(self._why_lost)
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        self._opening_taken = True
        return self._waiting.popleft()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()
