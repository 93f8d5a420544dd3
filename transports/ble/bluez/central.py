"""One central that subscribed: a socket for what we say, and writes by another socket or by D-Bus calls."""

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable

from transports.ble.gatt import MOST_PACKET_BYTES, packet_bytes
from transports.ble.inbox import Inbox
from transports.ble.peripheral import MAX_WRITES
from transports.errors import LinkLost

NOTIFY_BUFFER_BYTES = 8_192
"""What waits in the kernel for bluetoothd to take: about a message. Nothing bounds what waits in bluetoothd itself."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Ours and bluetoothd's, which keep packets apart. Neither end ever blocks: bluetoothd serves everybody in one
    thread, and loses a packet rather than wait."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class BluezCentral:
    """A `Central`. hang_up: makes bluetoothd disconnect it; gone: called once when it is lost, for whatever reason."""

    def __init__(
        self,
        source: str,
        mtu: int,
        notifying: socket.socket,
        hang_up: Callable[[], Awaitable[None]],
        gone: Callable[[], None],
    ) -> None:
        self._source = source
        self.mtu = mtu
        """The ATT MTU as bluetoothd told it last."""
        self._notifying = notifying
        self._notifying.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NOTIFY_BUFFER_BYTES)
        self._writing: socket.socket | None = None
        self._hang_up = hang_up
        self._gone = gone
        self._inbox = Inbox(MAX_WRITES)
        self._room = asyncio.Event()
        asyncio.get_running_loop().add_reader(notifying, self._notifying_ended)

    @property
    def source(self) -> str:
        return self._source

    @property
    def packet_bytes(self) -> int:
        return packet_bytes(self.mtu)

    @property
    def lost(self) -> bool:
        return self._inbox.lost

    @property
    def has_write_socket(self) -> bool:
        return self._writing is not None

    async def notify(self, fragment: bytes) -> None:
        while not self.lost:
            try:
                self._notifying.send(fragment)
            except BlockingIOError:
                await self._until_room()
            except OSError:
                self.left("the link broke")
            else:
                return
        raise LinkLost(f"the link to {self._source} broke")

    async def receive(self) -> bytes:
        return await self._inbox.get()

    async def aclose(self) -> None:
        if not self.lost:
            self.left("the link was closed")
            await self._hang_up()

    def written(self, fragment: bytes) -> bool:
        """A write came. Whether there was room for it: without, this central is of no use any more."""
        return self._inbox.put(fragment)

    def writes_come_by(self, ours: socket.socket, overflown: Callable[[], None]) -> None:
        """Take writes from this socket from now on. overflown: called when there is no room for one."""
        loop = asyncio.get_running_loop()
        if self._writing is not None:
            self._close(self._writing)
        self._writing = ours

        def readable() -> None:
            while self._writing is ours:
                try:
                    fragment = ours.recv(MOST_PACKET_BYTES)
                except BlockingIOError:
                    return
                except OSError:
                    fragment = b""
                if not fragment and hung_up(ours):
                    self._close(ours)
                    self._writing = None
                elif not self.written(fragment):
                    overflown()

        loop.add_reader(ours, readable)

    def left(self, why: str) -> None:
        """It is gone: nothing is waited for any more, nothing of it stays open. Idempotent."""
        if self.lost:
            return
        self._inbox.end(why)
        self._close(self._notifying)
        if self._writing is not None:
            self._close(self._writing)
            self._writing = None
        self._room.set()
        self._gone()

    async def _until_room(self) -> None:
        loop = asyncio.get_running_loop()
        self._room.clear()
        loop.add_writer(self._notifying, self._room.set)
        try:
            await self._room.wait()
        finally:
            if not self.lost:
                loop.remove_writer(self._notifying)

    def _notifying_ended(self) -> None:
        """bluetoothd says nothing on this socket (it acknowledges indications only), but closes it when the central
        unsubscribed or went."""
        try:
            said = self._notifying.recv(MOST_PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said and hung_up(self._notifying):
            self.left("the central unsubscribed or went out of reach")

    @staticmethod
    def _close(end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(end)
        loop.remove_writer(end)
        end.close()


def hung_up(end: socket.socket) -> bool:
    """Whether the other end is closed: an empty packet reads like that too."""
    poll = select.poll()
    poll.register(end, select.POLLHUP)
    return bool(poll.poll(0))
