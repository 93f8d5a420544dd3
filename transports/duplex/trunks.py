"""All pipes that a node has dialled on one bearer: one for each address, shared by the links to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from transports.duplex.pipe import Pipe
from transports.duplex.serving import check_size
from transports.duplex.trunk import Pushes, Trunk
from transports.errors import LinkLost

CONNECT_MS = 10_000
"""How long a connection may take. BLE: scan, connect, exchange sizes, look up the service: 0.1-0.3 s measured, seconds
in a bad place."""

Connect = Callable[[str], Awaitable[Pipe]]
"""Opens a pipe to an address of the bearer. Raises LinkLost or LocalTransportError; cancelling it leaves nothing."""


@dataclass(slots=True)
class _Peer:
    """links: how many use it. connecting: all that wait for the same pipe wait for this; ending: all that want a new
    one after the last link was closed."""

    links: int = 0
    trunk: Trunk | None = None
    running: asyncio.Task[None] | None = None
    connecting: asyncio.Task[Trunk] | None = None
    ending: asyncio.Task[None] | None = None

    async def end(self) -> None:
        tasks = [task for task in (self.connecting, self.running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.trunk is not None:
            await self.trunk.aclose("the link was closed")


class Trunks:
    """The dialer's side of a bearer. `aclose` ends all of it."""

    def __init__(self, bearer: str, connect: Connect) -> None:
        self.bearer = bearer
        self._connect = connect
        self._peers: dict[str, _Peer] = {}
        self._closed = False

    async def dial(self, address: str) -> "DuplexLink":
        """A link over the pipe to that address, which is opened where there is none. Raises as Connect does."""
        while (peer := self._peers.get(address)) is not None and peer.ending is not None:
            await asyncio.wait({peer.ending})  # there is one pipe a pair
        peer = self._peers.setdefault(address, _Peer())
        peer.links += 1
        link = DuplexLink(self, address)
        try:
            await self.reach(address)
        except BaseException:
            await link.aclose()
            raise
        return link

    async def reach(self, address: str) -> Trunk:
        """The trunk to that address, opened again where it was lost. Raises as Connect does."""
        peer = self._peers.get(address)
        if self._closed or peer is None:
            raise LinkLost(f"the link to {address} is closed")
        if peer.trunk is not None and not peer.trunk.lost:
            return peer.trunk
        if peer.connecting is None:
            peer.connecting = asyncio.create_task(self._open(address, peer))
        connecting = peer.connecting
        await asyncio.wait({connecting})  # not awaited itself: who gives up must not take it from the others
        if peer.connecting is connecting:
            peer.connecting = None
        if connecting.cancelled():
            raise LinkLost(f"the link to {address} is closed")
        return connecting.result()

    async def release(self, address: str) -> None:
        """One link less; the last one takes the pipe with it."""
        peer = self._peers.get(address)
        if peer is None:
            return
        peer.links -= 1
        if peer.links == 0:
            peer.ending = asyncio.create_task(self._end(address, peer))
            await asyncio.shield(peer.ending)

    async def _end(self, address: str, peer: _Peer) -> None:
        try:
            await peer.end()
        finally:
            if self._peers.get(address) is peer:
                del self._peers[address]

    async def aclose(self) -> None:
        """Close every pipe; what waits raises LinkLost."""
        self._closed = True
        peers, self._peers = list(self._peers.values()), {}
        await asyncio.gather(*(peer.ending or peer.end() for peer in peers))

    async def _open(self, address: str, peer: _Peer) -> Trunk:
        if peer.running is not None:
            peer.running.cancel()  # lost already, and perhaps not yet let go: there is one pipe a pair
            await asyncio.gather(peer.running, return_exceptions=True)
        try:
            async with asyncio.timeout(CONNECT_MS / 1000):
                pipe = await self._connect(address)
        except TimeoutError:
            raise LinkLost(f"{address} could not be reached in {CONNECT_MS} ms") from None
        trunk = peer.trunk = Trunk(pipe)
        peer.running = asyncio.create_task(trunk.run())
        return trunk


class DuplexLink:
    """A `Link` over the pipe to its address."""

    def __init__(self, trunks: Trunks, address: str) -> None:
        self._trunks = trunks
        self._address = address
        self._followed: set[Pushes] = set()
        self._closed = False

    @property
    def bearer(self) -> str:
        return self._trunks.bearer

    @property
    def address(self) -> str:
        return self._address

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        check_size(frame)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                trunk = await self._trunk()
                return await trunk.request(frame)
        except TimeoutError:
            raise LinkLost(f"{self._address} did not answer in {timeout_ms} ms") from None

    def subscribe(self, frame: bytes, *, timeout_ms: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._subscription(frame, timeout_ms)

    @asynccontextmanager
    async def _subscription(self, frame: bytes, timeout_ms: int) -> AsyncIterator[AsyncIterator[bytes]]:
        check_size(frame)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                trunk = await self._trunk()
        except TimeoutError:
            raise LinkLost(f"{self._address} could not be reached in {timeout_ms} ms") from None
        async with trunk.subscription(frame, timeout_ms) as pushes:
            self._followed.add(pushes)
            try:
                yield pushes
            finally:
                self._followed.discard(pushes)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        for pushes in self._followed:
            pushes.end("the link was closed")
        await self._trunks.release(self._address)

    async def _trunk(self) -> Trunk:
        if self._closed:
            raise LinkLost(f"the link to {self._address} is closed")
        return await self._trunks.reach(self._address)
