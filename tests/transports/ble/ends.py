"""Both ends of a BLE link without any radio: a central as the peripheral sees it, and what that central hears."""

import asyncio

from transports.ble.gatt import LEAST_PACKET_BYTES
from transports.ble.inbox import Inbox
from transports.errors import LinkLost

ROOM = 1_000


class End:
    """A `Packets` and, with `notify`, a `Central`. What is said here is heard at `other`."""

    def __init__(self, source: str = "F0:00:00:00:00:01", packet_bytes: int = LEAST_PACKET_BYTES) -> None:
        self.source = source
        self.packet_bytes = packet_bytes
        self.inbox = Inbox(ROOM)
        self.said: list[bytes] = []
        self.other: End | None = None
        self.stalled: asyncio.Event | None = None
        """Once set, sending waits for it."""

    async def notify(self, fragment: bytes) -> None:
        if self.inbox.lost:
            raise LinkLost("the link broke")
        if self.stalled is not None:
            await self.stalled.wait()
        self.said.append(fragment)
        if self.other is not None:
            self.other.inbox.put(fragment)

    async def receive(self) -> bytes:
        return await self.inbox.get()

    async def aclose(self) -> None:
        self.inbox.end("the link was closed")
        if self.other is not None:
            self.other.inbox.end("the link broke")


def pair(packet_bytes: int) -> tuple[End, End]:
    """Two ends of one link."""
    here, there = End("here", packet_bytes), End("there", packet_bytes)
    here.other, there.other = there, here
    return here, there
