"""The acceptor's side of a pipe: hands requests to the node's handler and sends what it says."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from transports.duplex.message import Kind, Message, decode
from transports.duplex.outbox import Outbox
from transports.duplex.pipe import Pipe
from transports.errors import FrameTooLarge, LinkLost, Malformed
from transports.interface import MAX_FRAME_BYTES, Handler

MAX_REQUESTS = 64
"""Requests of one pipe at work; a trade has a handful. One more is not answered, as if it had been lost."""
MAX_SUBSCRIPTIONS = 8
"""Sessions of one pair at once, at most; one more is refused."""
MAX_UNSENT = MAX_REQUESTS + 3 * MAX_SUBSCRIPTIONS
"""Messages that wait for a dialer to take them: above that it is not heard, or whoever asks faster than he reads would
fill the memory."""
FIRST_ANSWER_S = 10.0
"""Who connects and says nothing that is worth an answer takes a place away from others."""
IDLE_S = 300.0
"""Who follows no session and gets no answer for so long is gone, or might as well be: a dialer that follows one says so
every minute at the latest, which takes none of this."""


async def serve(pipe: Pipe, handler: Handler) -> None:
    """Answer on a pipe until it is lost, then return; the pipe is closed and no task is left.

    Raises Malformed when the dialer says what no dialer says: that pipe is of no use any more.
    """
    reception = Reception(pipe, handler)
    try:
        await reception.run()
    finally:
        await reception.aclose()


class Reception:
    """One dialer's requests and subscriptions."""

    def __init__(self, pipe: Pipe, handler: Handler) -> None:
        self._pipe = pipe
        self._handler = handler
        self._outbox = Outbox(pipe)
        self._work: dict[int, asyncio.Task[None]] = {}
        self._pushers: dict[int, DuplexPusher] = {}
        self._highest = 0
        self._ends_s = _now_s() + FIRST_ANSWER_S

    async def run(self) -> None:
        """Until the pipe is lost, or is of no use to anybody. Raises Malformed."""
        beside = [asyncio.create_task(self._send()), asyncio.create_task(self._watch())]
        try:
            while True:
                self._hear(decode(await self._pipe.receive(), from_dialer=True))
                await self._outbox.room(MAX_UNSENT)
        except LinkLost:
            return
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def aclose(self) -> None:
        """Stop all that is under way."""
        for pusher in list(self._pushers.values()):
            pusher.left()
        tasks = list(self._work.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pipe.aclose()

    async def _send(self) -> None:
        """A pipe that can't send is lost; closing it ends the receiving side too."""
        try:
            await self._outbox.run()
        except LinkLost:
            await self._pipe.aclose()

    async def _watch(self) -> None:
        """Close a pipe that is of no use, sooner or later; that ends the receiving side."""
        while (left_s := self._ends_s - _now_s()) > 0 or self._pushers or self._work:  # noqa: ASYNC110
            await asyncio.sleep(max(left_s, FIRST_ANSWER_S))
        await self._pipe.aclose()

    def _hear(self, message: Message) -> None:
        number = message.number
        if message.kind is Kind.CANCEL:
            self._cancel(number)
            return
        if number <= self._highest:
            raise Malformed(f"{message.kind.name} {number} after {self._highest}")
        self._highest = number
        if message.kind is Kind.REQUEST:
            if len(self._work) < MAX_REQUESTS:
                self._run(number, self._answer(message))
        elif len(self._pushers) < MAX_SUBSCRIPTIONS:
            pusher = self._pushers[number] = DuplexPusher(self, number)
            self._run(number, self._subscribe(message, pusher))
        else:
            self._outbox.put(Message(Kind.END, number))

    def _cancel(self, number: int) -> None:
        if number in self._work:
            self._work[number].cancel()
        self._outbox.take_back(Kind.ANSWER, number)
        if number in self._pushers:
            self._pushers[number].left()

    async def _answer(self, asked: Message) -> None:
        answer = await self._handler.answer(asked.frame, self._pipe.source)
        if answer is not None:
            self._say(Kind.ANSWER, asked.number, answer)

    async def _subscribe(self, asked: Message, pusher: "DuplexPusher") -> None:
        opening = None
        try:
            opening = await self._handler.subscribed(asked.frame, self._pipe.source, pusher)
        finally:
            if opening is None:
                pusher.close()
        if opening is not None and not pusher.closed:
            self._say(Kind.PUSH, asked.number, opening, opening=True)
            pusher.open()

    def push(self, number: int, frame: bytes) -> None:
        """Say the newest state of a subscription."""
        self._say(Kind.PUSH, number, frame)

    def end(self, number: int, *, said: bool) -> None:
        """Forget a subscription. said: the dialer ended it and waits for nothing more."""
        if self._pushers.pop(number, None) is None:
            return
        if said:
            self._outbox.take_back(Kind.PUSH, number)
        else:
            self._outbox.put(Message(Kind.END, number))

    def _say(self, kind: Kind, number: int, frame: bytes, *, opening: bool = False) -> None:
        check_size(frame)
        self._ends_s = _now_s() + IDLE_S
        self._outbox.put(Message(kind, number, frame), opening=opening)

    def _run(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        task = self._work[number] = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._ran(number, done))

    def _ran(self, number: int, task: asyncio.Task[None]) -> None:
        """A handler that raised is a fault of this program: the peer hears nothing, whoever runs the node all of it."""
        self._work.pop(number, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a handler of a bearer failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)


class DuplexPusher:
    """A `Pusher`: what is pushed before the opening answer waits for it, in its newest form."""

    def __init__(self, reception: Reception, number: int) -> None:
        self._reception = reception
        self._number = number
        self._opened = False
        self._early: bytes | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def open(self) -> None:
        """The opening answer is said."""
        self._opened = True
        if self._early is not None:
            self._reception.push(self._number, self._early)

    def push(self, frame: bytes, *, confirmed: bool) -> None:
        """confirmed says nothing here: a pipe that lost a message is lost, and a dialer that leaves says so."""
        check_size(frame)
        if self._closed:
            return
        if self._opened:
            self._reception.push(self._number, frame)
        else:
            self._early = frame

    def close(self) -> None:
        self._end(said=False)

    def left(self) -> None:
        """The dialer left, or its pipe is gone."""
        self._end(said=True)

    def _end(self, *, said: bool) -> None:
        if not self._closed:
            self._closed = True
            self._reception.end(self._number, said=said)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def check_size(frame: bytes) -> None:
    """Raises FrameTooLarge."""
    if len(frame) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"a frame has at most {MAX_FRAME_BYTES} bytes, not {len(frame)}")
