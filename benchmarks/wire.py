"""A third party between two nodes: a UDP relay that counts what passes, and names for what the seal hides.

The relay sees datagrams alone, as a cable would. The bearers of both ends are wrapped, so that each frame is noted with
the messages in it before it goes to the socket; a datagram is named by the frame that it carries.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from transports.coap import CoapSettings, CoapTransport
from transports.interface import Announcement, Handler, Link, Pusher, Sighting, Transport
from v2xnode.envelope import Item, Place
from v2xnode.envelope import Link as Entry
from v2xnode.links import ends, greeting

HOST = "127.0.0.1"
KEYS = "(keys)"
"""A frame with nothing but the handshake's own values."""
EMPTY = "(empty)"
"""A sealed frame without messages: an acknowledgement."""
BARE = "(CoAP)"
"""A datagram without a frame."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """What passed, and where to."""

    to_provider: bool
    data: bytes


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, heard: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._heard(data, addr)


class Relay:
    """Between one client and one provider: the client dials `port`, the provider sees the relay."""

    def __init__(self, provider_port: int) -> None:
        self._provider = (HOST, provider_port)
        self._client: tuple[str, int] | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._back: asyncio.DatagramTransport | None = None
        self.passed: list[Datagram] = []

    @property
    def port(self) -> int:
        """Where the client finds it, inside `running`."""
        assert self._front is not None
        return int(self._front.get_extra_info("sockname")[1])

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _Ear(self._asked), local_addr=(HOST, 0))
        self._back, _ = await loop.create_datagram_endpoint(lambda: _Ear(self._answered), local_addr=(HOST, 0))
        try:
            yield self
        finally:
            self._front.close()
            self._back.close()

    def _asked(self, data: bytes, client: tuple[str, int]) -> None:
        self._client = client
        self.passed.append(Datagram(True, data))
        if self._back is not None:
            self._back.sendto(data, self._provider)

    def _answered(self, data: bytes, _: tuple[str, int]) -> None:
        self.passed.append(Datagram(False, data))
        if self._front is not None and self._client is not None:
            self._front.sendto(data, self._client)


@dataclass
class Tap:
    """What is in the frames of this process, by their bytes; and the newest message of each kind, for entries the
    newest in the short form of a first sending."""

    frames: dict[bytes, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    _packed: str | None = None

    @contextmanager
    def open(self) -> Iterator["Tap"]:
        """Look over the shoulder of `v2xnode.links` while it packs frames."""
        rooms = [vars(room) for room in (ends, greeting)]
        inner = rooms[0]["pack"]

        def pack(items: Iterable[Item], held: Place | None = None, epoch: bytes | None = None) -> bytes:
            listed = list(items)
            self._note(listed)
            packed: bytes = inner(listed, held, epoch)
            return packed

        for names in rooms:
            names["pack"] = pack
        try:
            yield self
        finally:
            for names in rooms:
                names["pack"] = inner

    def name(self, datagram: Datagram) -> str:
        """The messages that a datagram carries: a CoAP payload is its last part."""
        carried = [name for frame, name in self.frames.items() if datagram.data.endswith(frame)]
        return max(carried, key=len, default=BARE)

    def sent(self, frame: bytes) -> None:
        """This frame goes to the socket now: what was packed last is in it."""
        if frame:
            self.frames.setdefault(frame, self._packed or KEYS)
        self._packed = None

    def _note(self, items: list[Item]) -> None:
        for item in items:
            name = type(item.message).__name__
            if not isinstance(self.items.get(name), Entry) or not isinstance(item, Entry) or item.brief:
                self.items[name] = item
        self._packed = " + ".join(type(item.message).__name__ for item in items) or EMPTY

    def wrap(self, transport: Transport) -> "TappedTransport":
        """The same bearer, its frames noted."""
        return TappedTransport(transport, self)


@dataclass
class TappedTransport:
    """A bearer whose frames are noted on their way to the socket."""

    inner: Transport
    tap: Tap

    @property
    def name(self) -> str:
        return self.inner.name

    def serving(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        return self.inner.serving(_TappedHandler(handler, self.tap))

    def announce(self, announcement: Announcement | None) -> None:
        self.inner.announce(announcement)

    def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        return self.inner.discover(window_ms=window_ms)

    async def dial(self, address: str) -> Link:
        return cast(Link, _TappedLink(await self.inner.dial(address), self.tap))

    def counters(self) -> dict[str, int]:
        return self.inner.counters()


@dataclass
class _TappedLink:
    inner: Link
    tap: Tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        self.tap.sent(frame)
        return await self.inner.request(frame, timeout_ms=timeout_ms)

    def subscribe(self, frame: bytes, *, timeout_ms: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        self.tap.sent(frame)
        return self.inner.subscribe(frame, timeout_ms=timeout_ms)


@dataclass
class _TappedHandler:
    inner: Handler
    tap: Tap

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        return self._noted(await self.inner.answer(frame, source))

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes | None:
        return self._noted(await self.inner.subscribed(frame, source, cast(Pusher, _TappedPusher(pusher, self.tap))))

    def _noted(self, frame: bytes | None) -> bytes | None:
        if frame is not None:
            self.tap.sent(frame)
        return frame


@dataclass
class _TappedPusher:
    inner: Pusher
    tap: Tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def push(self, frame: bytes, *, confirmed: bool) -> None:
        self.tap.sent(frame)
        self.inner.push(frame, confirmed=confirmed)


def coap(port: int, discovery_port: int) -> CoapTransport:
    """A node's bearer on loopback at a port that the caller chose."""
    return CoapTransport(CoapSettings(host=HOST, port=port, loopback=True, discovery_port=discovery_port))
