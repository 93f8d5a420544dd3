"""The peripheral's role over a virtual radio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from bumble import hci
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service

from transports.ble.advertisement import COMPANY_ID
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID, packet_bytes
from transports.ble.inbox import Inbox
from transports.ble.peripheral import MAX_CENTRALS, MAX_WRITES, Arrived
from transports.ble.virtual.client import has_room
from transports.ble.virtual.operation import operation
from transports.ble.virtual.scanner import COMMAND_MS
from transports.errors import LinkLost, LocalTransportError

INTERVAL_MS = 30
"""Between advertisements; radios take 20 to 10,240 ms."""

SUBSCRIBE_MS = 10_000
"""Whoever connects and does not subscribe takes a link away from others."""


class VirtualPeripheral:
    """A `Peripheral`. device: gives bumble's device, which is open inside `serving`."""

    def __init__(self, device: Callable[[], Device]) -> None:
        self._device = device
        self._served: _Served | None = None

    @asynccontextmanager
    async def serving(self, arrived: Arrived) -> AsyncIterator[None]:
        if self._served is not None:
            raise LocalTransportError("the virtual peripheral is serving already")
        self._served = served = _Served(self._device, arrived)
        try:
            yield
        finally:
            self._served = None
            await served.aclose()

    async def advertise(self, data: bytes | None) -> None:
        if self._served is None:
            raise LocalTransportError("the virtual peripheral is not serving")
        await self._served.advertise(data)


class _Served:
    def __init__(self, alive: Callable[[], Device], arrived: Arrived) -> None:
        self._alive = alive
        self._device = device = alive()
        self._arrived = arrived
        self._notify = Characteristic(NOTIFY_UUID, Characteristic.Properties.NOTIFY, Characteristic.Permissions(0), b"")
        write: Characteristic[bytes] = Characteristic(
            WRITE_UUID,
            Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            Characteristic.Permissions.WRITEABLE,
            CharacteristicValue(write=self._written),
        )
        device.add_service(Service(SERVICE_UUID, [write, self._notify]))
        self._notify.on("subscription", self._subscribed)
        device.on("connection", self._connected)
        self._centrals: dict[Connection, VirtualCentral] = {}
        self._impatience: dict[Connection, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shown: bytes | None = None
        self._turn = asyncio.Lock()

    async def advertise(self, data: bytes | None) -> None:
        async with self._turn:
            self._shown = data
            await self._show()

    async def aclose(self) -> None:
        device = self._device
        device.remove_listener("connection", self._connected)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(LocalTransportError):
            await self.advertise(None)
        for connection in list(self._impatience):
            await _disconnect(connection)
        for central in list(self._centrals.values()):
            await central.aclose()

    async def _show(self) -> None:
        """Controllers stop advertising when somebody connects: it is begun again then."""
        self._alive()
        try:
            async with asyncio.timeout(COMMAND_MS / 1000):
                if self._shown is None:
                    await operation(self._device.stop_advertising())
                else:
                    await operation(
                        self._device.start_advertising(
                            advertising_data=_packet(self._shown),
                            scan_response_data=b"",
                            advertising_interval_min=INTERVAL_MS,
                            advertising_interval_max=INTERVAL_MS,
                        )
                    )
        except (BaseBumbleError, TimeoutError) as problem:
            raise LocalTransportError(f"the virtual radio can't advertise: {problem}") from problem

    def _connected(self, connection: Connection) -> None:
        if connection.role != hci.Role.PERIPHERAL:
            return
        if len(self._impatience) + len(self._centrals) >= MAX_CENTRALS:
            self._start(_disconnect(connection))
            self._start(self._again())
            return
        loop = asyncio.get_running_loop()
        self._impatience[connection] = loop.call_later(
            SUBSCRIBE_MS / 1000, lambda: self._start(_disconnect(connection))
        )
        connection.once("disconnection", lambda _: self._left(connection))
        self._start(self._again())

    def _left(self, connection: Connection) -> None:
        if (timer := self._impatience.pop(connection, None)) is not None:
            timer.cancel()
        if (central := self._centrals.pop(connection, None)) is not None:
            central.left("the link broke")

    def _subscribed(self, connection: Connection, notify: bool, _: bool) -> None:
        """Whoever hears no notifications any more can't be answered, and is let go."""
        if not notify and connection in self._centrals:
            self._start(_disconnect(connection))
        if connection in self._impatience and notify and connection not in self._centrals:
            self._impatience.pop(connection).cancel()
            central = self._centrals[connection] = VirtualCentral(self._device, connection, self._notify)
            self._arrived(central)

    def _written(self, connection: Connection, value: bytes) -> None:
        central = self._centrals.get(connection)
        if central is not None and not central.written(bytes(value)):
            self._start(central.aclose())

    async def _again(self) -> None:
        with contextlib.suppress(LocalTransportError):
            async with self._turn:
                await self._show()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class VirtualCentral:
    """A `Central`."""

    def __init__(self, device: Device, connection: Connection, notify: Characteristic[bytes]) -> None:
        self._device = device
        self._connection = connection
        self._notify = notify
        self._inbox = Inbox(MAX_WRITES)

    @property
    def source(self) -> str:
        return self._connection.peer_address.to_string(False)

    @property
    def packet_bytes(self) -> int:
        return packet_bytes(self._connection.att_mtu)

    async def notify(self, fragment: bytes) -> None:
        if self._inbox.lost:
            raise LinkLost(f"the link to {self.source} broke")
        await self._device.notify_subscriber(self._connection, self._notify, fragment)
        if not self._inbox.lost:
            await has_room(self._device, self._connection)

    async def receive(self) -> bytes:
        return await self._inbox.get()

    async def aclose(self) -> None:
        self._inbox.end("the link was closed")
        await _disconnect(self._connection)

    def written(self, fragment: bytes) -> bool:
        """Whether there was room."""
        return self._inbox.put(fragment)

    def left(self, why: str) -> None:
        self._inbox.end(why)


async def _disconnect(connection: Connection) -> None:
    """Also one that is gone already."""
    device = connection.device
    if device.connections.get(connection.handle) is not connection:
        return
    gone = asyncio.Event()
    connection.once("disconnection", lambda _: gone.set())
    command = hci.HCI_Disconnect_Command(
        connection_handle=connection.handle, reason=hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR
    )
    with contextlib.suppress(BaseBumbleError, TimeoutError):
        async with asyncio.timeout(COMMAND_MS / 1000):
            await operation(device.send_async_command(command))
            await gone.wait()


def _packet(data: bytes) -> bytes:
    """The 31 bytes of a legacy advertisement."""
    fields: list[tuple[int, bytes]] = [
        (AdvertisingData.FLAGS, b"\x06"),
        (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, UUID(SERVICE_UUID).to_bytes()),
        (AdvertisingData.MANUFACTURER_SPECIFIC_DATA, COMPANY_ID.to_bytes(2, "little") + data),
    ]
    return bytes(AdvertisingData(fields))
