"""A bearer of pipes within this process: what BLE and libp2p do, without either."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from transports.duplex import Trunks, serve
from transports.errors import LinkLost, Malformed
from transports.interface import Announcement, Handler, Link, Sighting

ROOM = 4
"""Messages between two ends, as in a socket's buffer."""
T = TypeVar("T")


class Cord:
    """One end of a pipe."""

    def __init__(self, source: str, there: "Cord | None" = None) -> None:
        self.source = source
        self.cut: asyncio.Event = there.cut if there else asyncio.Event()
        self.other = there or Cord("dialer", self)
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue(ROOM)
        self.sent = self.received = 0

    async def send(self, message: bytes) -> None:
        await self._unless_cut(self.other.waiting.put(message))
        self.sent += len(message)

    async def receive(self) -> bytes:
        message = await self._unless_cut(self.waiting.get())
        self.received += len(message)
        return message

    async def aclose(self) -> None:
        self.cut.set()

    async def _unless_cut(self, moving: Coroutine[Any, Any, T]) -> T:
        moved, cut = asyncio.create_task(moving), asyncio.create_task(self.cut.wait())
        try:
            await asyncio.wait({moved, cut}, return_when=asyncio.FIRST_COMPLETED)
            if self.cut.is_set():
                raise LinkLost("the cord was cut")
            return moved.result()
        finally:
            for task in (moved, cut):
                task.cancel()
            await asyncio.gather(moved, cut, return_exceptions=True)


class CordTransport:
    """A `Transport` whose radio is the dictionary `air`."""

    def __init__(self, own: str, air: "dict[str, CordTransport]") -> None:
        self._own = own
        self._air = air
        self._handler: Handler | None = None
        self._shown: Announcement | None = None
        self._trunks = Trunks(self.name, self._connect)
        self._served: set[asyncio.Task[None]] = set()
        self.cords: list[Cord] = []
        self.malformed = 0

    @property
    def name(self) -> str:
        return "cord"

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        self._handler, self._air[self._own] = handler, self
        self._trunks = Trunks(self.name, self._connect)
        try:
            yield
        finally:
            del self._air[self._own]
            await self._trunks.aclose()
            for task in self._served:
                task.cancel()
            await asyncio.gather(*self._served, return_exceptions=True)

    def announce(self, announcement: Announcement | None) -> None:
        self._shown = announcement

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        for name, other in list(self._air.items()):
            if name != self._own and other._shown is not None:
                yield Sighting(self.name, name, other._shown, 0)

    async def dial(self, address: str) -> Link:
        return await self._trunks.dial(address)

    def counters(self) -> dict[str, int]:
        sent, received = (sum(getattr(cord, which) for cord in self.cords) for which in ("sent", "received"))
        return {"bytes_sent": sent, "bytes_received": received}

    async def _connect(self, address: str) -> Cord:
        other = self._air.get(address)
        if other is None:
            raise LinkLost(f"nobody at {address}")
        cord = Cord(address)
        self.cords.append(cord)
        other.accept(cord.other)
        return cord

    def accept(self, cord: Cord) -> None:
        """A cord was plugged in here."""
        self.cords.append(cord)
        task = asyncio.create_task(self._serve(cord))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _serve(self, cord: Cord) -> None:
        assert self._handler is not None
        try:
            await serve(cord, self._handler)
        except Malformed:
            self.malformed += 1


class CordBench:
    """The contract's bench."""

    def __init__(self) -> None:
        self._air: dict[str, CordTransport] = {}

    def transport(self, name: str) -> CordTransport:
        return CordTransport(name, self._air)

    def address(self, name: str) -> str:
        return name
