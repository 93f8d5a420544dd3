"""A bearer between a node and its network, where a test can see, spoil or lose what its links ask."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from transports.interface import Announcement, Handler, Link, Sighting, Transport

Around = Callable[[Callable[[], Awaitable[bytes]]], Awaitable[bytes]]
"""Takes the place of an exchange, and may make it: `await ask()`."""


@dataclass
class Tapped:
    """A `Transport` whose links make each exchange through `around`."""

    inner: Transport
    around: Around

    @property
    def name(self) -> str:
        return self.inner.name

    def serving(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        return self.inner.serving(handler)

    def announce(self, announcement: Announcement | None) -> None:
        self.inner.announce(announcement)

    def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        return self.inner.discover(window_ms=window_ms)

    async def dial(self, address: str) -> Link:
        return TappedLink(await self.inner.dial(address), self.around)

    def counters(self) -> dict[str, int]:
        return self.inner.counters()


@dataclass
class TappedLink:
    """A `Link` of it."""

    inner: Link
    around: Around

    @property
    def bearer(self) -> str:
        return self.inner.bearer

    @property
    def address(self) -> str:
        return self.inner.address

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        return await self.around(lambda: self.inner.request(frame, timeout_ms=timeout_ms))

    def subscribe(self, frame: bytes, *, timeout_ms: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.inner.subscribe(frame, timeout_ms=timeout_ms)

    async def aclose(self) -> None:
        await self.inner.aclose()
