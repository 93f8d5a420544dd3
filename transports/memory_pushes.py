"""The two ends of a subscription in an in-memory network."""

import asyncio
from collections.abc import Callable

from transports.memory_packets import MAX_BACKOFF, Kind, check_size

MAX_TRIES = 8
"""Repetitions of an unconfirmed push before the dialer counts as gone: at one packet in five lost, one in 10,000."""


class Subscription:
    """The dialer's iterator: the opening answer, then the newest push not yet taken."""

    def __init__(self) -> None:
        self._opening: bytes | None = None
        self._newest: bytes | None = None
        self._sequence = 0
        self._ended = False
        self._news = asyncio.Event()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> bytes:
        while self._opening is None and self._newest is None:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if self._opening is not None:
            frame, self._opening = self._opening, None
            return frame
        newest, self._newest = self._newest, None
        return newest or b""

    def open(self, opening: bytes) -> None:
        self._opening = opening

    def take(self, frame: bytes, sequence: int) -> None:
        """A push arrived; one that was overtaken by a newer state is of no use."""
        if sequence > self._sequence and not self._ended:
            self._sequence, self._newest = sequence, frame
            self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()


class MemoryPusher:
    """The acceptor's end of one subscription."""

    def __init__(
        self, send: Callable[[Kind, bytes, int], None], forget: Callable[[], None], *, repeat_s: float
    ) -> None:
        self._transmit = send
        self._forget = forget
        self._repeat_s = repeat_s
        self._opening: bytes | None = None
        self._newest = b""
        self._sequence = 0
        self._to_confirm = 0
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def open(self, opening: bytes) -> None:
        """The handler took the subscription."""
        self._opening = opening
        self.repeat_opening()

    def repeat_opening(self) -> None:
        if self._opening is not None:
            self._transmit(Kind.OPENING, self._opening, 0)

    def push(self, frame: bytes, *, confirmed: bool) -> None:
        check_size(frame)
        if self._closed or self._ending:
            return
        self._sequence += 1
        self._newest = frame
        if confirmed:
            self._to_confirm = self._sequence
        self._send()

    def close(self) -> None:
        if not self._closed and not self._ending:
            self._ending = True
            self._send()

    def acknowledged(self, sequence: int) -> None:
        """The dialer has that state: it lives, and has the confirmed one if it is no newer."""
        self._tries = 0
        if sequence >= self._to_confirm and not self._ending:
            self._disarm()

    def gone(self) -> None:
        """The dialer left, or we refuse it: forget the subscription."""
        self._disarm()
        self._closed = True
        self._forget()

    def _send(self) -> None:
        waits = self._ending or self._timer is not None or self._to_confirm == self._sequence
        kind = Kind.END if self._ending else Kind.CONFIRMED_PUSH if waits else Kind.PUSH
        body = b"" if self._ending else self._newest
        self._transmit(kind, body, self._sequence)
        if waits and self._timer is None:
            self._tries = 0
            self._arm()

    def _arm(self) -> None:
        wait_s = self._repeat_s * min(1 << self._tries, MAX_BACKOFF)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._repeat)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _repeat(self) -> None:
        self._tries += 1
        if self._tries > MAX_TRIES:
            self.gone()
            return
        self._send()
        self._arm()
