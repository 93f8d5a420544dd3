"""What waits to be sent on one pipe: one message after the other, states only in their newest form."""

import asyncio
from collections import OrderedDict
from typing import NoReturn

from transports.duplex.message import Kind, Message
from transports.duplex.pipe import Pipe

Slot = tuple[int, Kind, bool]


class Outbox:
    """A queue before a pipe. Its users bound it: a request waits once, a subscription as its opening answer, its newest
    push and its end."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._waiting: OrderedDict[Slot, Message] = OrderedDict()
        self._news = asyncio.Event()

    def put(self, message: Message, *, opening: bool = False) -> None:
        """Never waits. It takes the place of an older one of its kind and number that still waits.

        opening: the opening answer, which no push takes the place of.
        """
        self._waiting[message.number, message.kind, opening] = message
        self._news.set()

    def take_back(self, kind: Kind, number: int) -> bool:
        """Whether that message was still here, and so is never said."""
        return self._waiting.pop((number, kind, False), None) is not None

    async def run(self) -> NoReturn:
        """Send what comes. Raises LinkLost once the pipe is gone."""
        while True:
            while self._waiting:
                _, message = self._waiting.popitem(last=False)
                await self._pipe.send(message.encode())
            self._news.clear()
            await self._news.wait()
