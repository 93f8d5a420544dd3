"""What waits to be sent on one pipe: one message after the other, states only in their newest form."""

import asyncio
from collections import OrderedDict
from typing import NoReturn

from transports.duplex.message import Kind, Message
from transports.duplex.pipe import Pipe
from transports.errors import LinkLost

Slot = tuple[int, Kind, bool]


class Outbox:
    """A queue before a pipe. Its users bound it: a request waits once, a subscription as its opening answer, its newest
    push and its end; and who puts something in for each message that it hears waits for `room` before the next."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._waiting: OrderedDict[Slot, Message] = OrderedDict()
        self._news = asyncio.Event()
        self._sent = asyncio.Event()
        self._over = False

    def put(self, message: Message, *, opening: bool = False) -> None:
        """Never waits. It takes the place of an older one of its kind and number that still waits.

        opening: the opening answer, which no push takes the place of.
        """
        self._waiting[message.number, message.kind, opening] = message
        self._news.set()

    def take_back(self, kind: Kind, number: int) -> bool:
        """Whether that message was still here, and so is never said."""
        return self._waiting.pop((number, kind, False), None) is not None

    async def room(self, most: int) -> None:
        """Wait until no more than so many messages wait. Raises LinkLost once nothing is sent any more."""
        while len(self._waiting) > most:
            if self._over:
                raise LinkLost("the peer takes nothing any more")
            self._sent.clear()
            await self._sent.wait()

    async def run(self) -> NoReturn:
        """Send what comes. Raises LinkLost once the pipe is gone."""
        try:
            while True:
                while self._waiting:
                    _, message = self._waiting.popitem(last=False)
                    await self._pipe.send(message.encode())
                    self._sent.set()
                self._news.clear()
                await self._news.wait()
        finally:
            self._over = True
            self._sent.set()
