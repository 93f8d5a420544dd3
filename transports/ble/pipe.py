"""Messages over fragments: the pipe that `transports.duplex` uses, at either end of a BLE link."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from transports.ble.assembly import Assembly
from transports.duplex.message import MAX_MESSAGE_BYTES
from transports.errors import LinkLost, Malformed
from transports.framing import Fragmenter

SEND_MS = 10_000
"""How long one fragment may wait for room: the supervision time-out of a link is 0.5 to 6 s, so this one is dead."""


class Packets(Protocol):
    """One end of a BLE link, fragment by fragment."""

    @property
    def source(self) -> str: ...

    @property
    def packet_bytes(self) -> int: ...

    async def receive(self) -> bytes:
        """Raises LinkLost."""
        ...

    async def aclose(self) -> None: ...


class Octets:
    """What went through the pipes of a bearer."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0


class FragmentPipe:
    """A `Pipe` over one link. A link keeps its fragments in order and loses none, so a fragment that can't belong where
    it came means a peer that is broken: the pipe is lost, and whoever needs it dials again.

    put: sends one fragment.
    """

    def __init__(
        self,
        packets: Packets,
        put: Callable[[bytes], Awaitable[None]],
        octets: Octets,
    ) -> None:
        self._packets = packets
        self._put = put
        self._octets = octets
        self._assembly = Assembly(MAX_MESSAGE_BYTES)
        self._said = 0
        self._closed = False
        self.broken: str | None = None
        """What the peer did wrong."""

    @property
    def source(self) -> str:
        return self._packets.source

    async def send(self, message: bytes) -> None:
        """One call at a time."""
        fragments = Fragmenter(self._packets.packet_bytes, first_number=self._said, longest=MAX_MESSAGE_BYTES)
        self._said += 1
        whole = False
        try:
            for fragment in fragments.split(message):
                await self._put_one(fragment)
            whole = True
        finally:
            if not whole:
                await self.aclose()  # half a message was said, and nothing may follow it

    async def receive(self) -> bytes:
        """One call at a time."""
        if self._closed:
            raise LinkLost("the link was closed")
        while True:
            fragment = await self._packets.receive()
            self._octets.received += len(fragment)
            try:
                message = self._assembly.take(fragment)
            except Malformed as problem:
                self.broken = str(problem)
                await self.aclose()
                raise LinkLost(f"{self.source} does not keep to the protocol ({problem})") from problem
            if message is not None:
                return message

    async def aclose(self) -> None:
        self._closed = True
        await self._packets.aclose()

    async def _put_one(self, fragment: bytes) -> None:
        if self._closed:
            raise LinkLost("the link was closed")
        self._octets.sent += len(fragment)  # before it goes: its answer may be here before `put` returns
        try:
            async with asyncio.timeout(SEND_MS / 1000):
                await self._put(fragment)
        except TimeoutError:
            raise LinkLost(f"{self.source} took nothing in {SEND_MS} ms") from None
