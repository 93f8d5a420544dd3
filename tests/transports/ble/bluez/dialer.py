"""What the tests of our peripheral share: bleak's central on its BlueZ backend, and bluetoothd as others see it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZNotifyArgs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError
from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus

from transports.ble.advertisement import COMPANY_ID
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID
from transports.ble.peripheral import Central
from transports.errors import LinkLost

DATA = bytes(range(6))
PATIENCE_S = 10


async def found(adapter: str, data: bytes) -> BLEDevice:
    """Not by bleak's `find_device_by_filter`, which misses what is told before its discovery is known to have begun."""
    device: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

    def heard(one: BLEDevice, shown: AdvertisementData) -> None:
        if shown.manufacturer_data.get(COMPANY_ID) == data and not device.done():
            device.set_result(one)

    async with BleakScanner(heard, [SERVICE_UUID], bluez={"adapter": adapter}), asyncio.timeout(PATIENCE_S):
        return await device


class Dialer:
    """bleak's central, subscribed. by_socket: by AcquireNotify instead of StartNotify."""

    def __init__(self, client: BleakClient, lost: asyncio.Event, *, by_socket: bool = False) -> None:
        self.client = client
        self.lost = lost
        self._by_socket = by_socket
        service = client.services.get_service(SERVICE_UUID)
        assert service is not None
        self._write = service.get_characteristic(WRITE_UUID)
        self._notify = service.get_characteristic(NOTIFY_UUID)
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def subscribe(self) -> None:
        def notified(_: BleakGATTCharacteristic, data: bytearray) -> None:
            self.heard.put_nowait(bytes(data))

        assert self._notify is not None
        options: BlueZNotifyArgs = {"use_start_notify": not self._by_socket}
        await self.client.start_notify(self._notify, notified, bluez=options)

    async def unsubscribe(self) -> None:
        assert self._notify is not None
        await self.client.stop_notify(self._notify)

    async def write(self, fragment: bytes, *, response: bool = True) -> None:
        assert self._write is not None
        await self.client.write_gatt_char(self._write, fragment, response=response)

    async def next(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()


@asynccontextmanager
async def dialled(adapter: str, data: bytes = DATA, *, by_socket: bool = False) -> AsyncIterator[Dialer]:
    device = await found(adapter, data)
    lost = asyncio.Event()
    client = BleakClient(device, lambda _: lost.set(), bluez={"adapter": adapter})
    await client.connect()
    try:
        dialer = Dialer(client, lost, by_socket=by_socket)
        await dialer.subscribe()
        yield dialer
    finally:
        with contextlib.suppress(BleakError):  # bluetoothd is gone
            await client.disconnect()


@asynccontextmanager
async def serving(adapter: str | None = "hci0") -> AsyncIterator[tuple[BluezPeripheral, "asyncio.Queue[Central]"]]:
    peripheral, arrived = BluezPeripheral(adapter), asyncio.Queue[Central]()
    async with peripheral.serving(arrived.put_nowait):
        await peripheral.advertise(DATA)
        yield peripheral, arrived


async def arriving(arrived: "asyncio.Queue[Central]") -> Central:
    async with asyncio.timeout(PATIENCE_S):
        return await arrived.get()


async def received(central: Central) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await central.receive()


async def lost(central: Central) -> int:
    """Once it is: how many fragments came until then."""
    received = 0
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(LinkLost):
            while True:
                await central.receive()
                received += 1
    with pytest.raises(LinkLost):
        await central.notify(b"anybody?")
    return received


@asynccontextmanager
async def outsider() -> AsyncIterator[MessageBus]:
    """Another program on the same D-Bus."""
    connection = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        yield connection
    finally:
        connection.disconnect()
        await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]


async def asked(destination: str, path: str, interface: str, member: str, signature: str, *body: Any) -> Message:
    """What somebody else is answered."""
    async with outsider() as connection:
        return await connection.call(
            Message(destination, path, interface, member, signature=signature, body=list(body))
        )


async def adapter_property(adapter: str, interface: str, name: str) -> Any:
    """As bluetoothd shows it."""
    path = f"/org/bluez/{adapter}"
    answer = await asked(
        "org.bluez", path, "org.freedesktop.DBus.Properties", "Get", "ss", f"org.bluez.{interface}", name
    )
    return answer.body[0].value


async def shown_and_served(adapter: str = "hci0") -> tuple[int, bool]:
    """How many advertisements bluetoothd shows there, and whether our service is on offer."""
    shown = await adapter_property(adapter, "LEAdvertisingManager1", "ActiveInstances")
    return shown, SERVICE_UUID in await adapter_property(adapter, "Adapter1", "UUIDs")
