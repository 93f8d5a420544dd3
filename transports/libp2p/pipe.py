"""A stream as a `Pipe`: its messages cross between trio and asyncio, a bounded number at a time each way."""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable

import trio

from transports.errors import LinkLost, Malformed
from transports.libp2p.bridge import Bridge
from transports.libp2p.framing import Deframer, enframe
from transports.libp2p.library import BaseLibp2pError, INetStream

AHEAD = 8
"""Messages on their way between the threads, in each direction. Few, so that a newer state can overtake an older one
before it was handed over."""
READ_BYTES = 65_536
"""A whole yamux window: py-libp2p sends a window update for nearly every read, so reads are few and large."""
SEND_S = 10
"""How long one message may take until window and socket have taken it: who reads slower is as good as gone."""
CLOSE_S = 1
"""How long saying goodbye to a stream may take."""
FOREIGN = (BaseLibp2pError, OSError, EOFError, ValueError, trio.BrokenResourceError, trio.ClosedResourceError)
"""What a stream of py-libp2p raises when it is lost."""


class StreamPipe:
    """`send`, `receive` and `aclose` belong to asyncio; `carry` runs on the trio side for as long as the pipe lives."""

    def __init__(self, bridge: Bridge, source: str) -> None:
        self._bridge = bridge
        self._source = source
        self._arrived: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Semaphore(AHEAD)
        self._why_lost: str | None = None
        self._malformed: Malformed | None = None
        self._gone = asyncio.Event()
        self._scope = trio.CancelScope()
        self._credit = trio.Semaphore(AHEAD, max_value=AHEAD)
        self._put, self._take = trio.open_memory_channel[bytes](math.inf)  # bounded by `_room`

    # The asyncio side

    @property
    def source(self) -> str:
        return self._source

    @property
    def malformed(self) -> Malformed | None:
        """Why the pipe is lost, if the peer said what is no message."""
        return self._malformed

    async def send(self, message: bytes) -> None:
        """Waits for room `SEND_S` at the longest. Raises LinkLost."""
        await self._room.acquire()
        if self._why_lost is not None:
            self._room.release()
            raise LinkLost(self._why_lost)
        self._bridge.to_trio(self._put.send_nowait, message)

    async def receive(self) -> bytes:
        while not self._arrived:
            if self._why_lost is not None:
                raise LinkLost(self._why_lost)
            self._news.clear()
            await self._news.wait()
        self._bridge.to_trio(self._credit.release)
        return self._arrived.popleft()

    async def aclose(self) -> None:
        self.lose("the link was closed")
        if self._bridge.to_trio(self._scope.cancel):
            await self._gone.wait()

    def lose(self, why: str, malformed: Malformed | None = None) -> None:
        """No more comes or goes; all that waits is told. Idempotent."""
        if self._why_lost is None:
            self._why_lost, self._malformed = why, malformed
            self._news.set()
            self._room.release()

    def _over(self, why: str, malformed: Malformed | None) -> None:
        self.lose(why, malformed)
        self._gone.set()

    def _arrive(self, message: bytes) -> None:
        if self._why_lost is None:
            self._arrived.append(message)
            self._news.set()

    # The trio side

    async def carry(self, stream: INetStream, over: Callable[[], None]) -> None:
        """Move messages until either side is done, then let the stream go. Raises nothing of the library's.

        over: called when it is, before the asyncio side hears of it.
        """
        end = _End()
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, stream, end, nursery.cancel_scope)
                    await self._read(stream, end)
                    nursery.cancel_scope.cancel()
        finally:
            over()
            self._bridge.to_asyncio(self._over, end.why or "the link was closed", end.malformed)
            await let_go(stream)

    async def _write(self, stream: INetStream, end: "_End", scope: trio.CancelScope) -> None:
        try:
            async for message in self._take:
                with trio.fail_after(SEND_S):
                    await stream.write(enframe(message))
                self._bridge.to_asyncio(self._room.release)
        except FOREIGN as problem:
            end.because(f"the connection was lost ({type(problem).__name__})")
            scope.cancel()
        except trio.TooSlowError:
            end.because(f"the peer took nothing in {SEND_S} s")
            scope.cancel()

    async def _read(self, stream: INetStream, end: "_End") -> None:
        deframer = Deframer()
        try:
            while data := await stream.read(READ_BYTES):
                for message in deframer.feed(data):
                    await self._credit.acquire()
                    self._bridge.to_asyncio(self._arrive, message)
        except EOFError:
            pass
        except Malformed as problem:
            end.because(f"the peer does not keep to the protocol ({problem})", problem)
        except FOREIGN as problem:
            end.because(f"the connection was lost ({type(problem).__name__})")
        if deframer.amid_message:
            end.because("the connection ended amid a message")
        end.because("the peer ended the connection")


class _End:
    """Why a pipe ended: the first reason counts."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.malformed: Malformed | None = None

    def because(self, why: str, malformed: Malformed | None = None) -> None:
        if self.why is None:
            self.why, self.malformed = why, malformed


async def let_go(stream: INetStream) -> None:
    """Reset a stream, whatever state it is in; waits no longer than `CLOSE_S`, also when cancelled."""
    with trio.move_on_after(CLOSE_S) as scope:
        scope.shield = True
        with contextlib.suppress(*FOREIGN):
            await stream.reset()
