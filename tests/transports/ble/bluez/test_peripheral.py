"""Our peripheral and bleak's central, with D-Bus and a stand-in for bluetoothd between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice

from transports.ble.advertisement import COMPANY_ID
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID
from transports.ble.peripheral import Central

DATA = bytes(range(6))
PATIENCE_S = 10


async def found(adapter: str, data: bytes) -> BLEDevice:
    device = await BleakScanner.find_device_by_filter(
        lambda _, shown: shown.manufacturer_data.get(COMPANY_ID) == data,
        timeout=PATIENCE_S,
        service_uuids=[SERVICE_UUID],
        bluez={"adapter": adapter},
    )
    assert device is not None
    return device


class Dialer:
    """bleak's central, subscribed."""

    def __init__(self, client: BleakClient) -> None:
        self.client = client
        service = client.services.get_service(SERVICE_UUID)
        assert service is not None
        self._write = service.get_characteristic(WRITE_UUID)
        self._notify = service.get_characteristic(NOTIFY_UUID)
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def subscribe(self) -> None:
        def notified(_: BleakGATTCharacteristic, data: bytearray) -> None:
            self.heard.put_nowait(bytes(data))

        assert self._notify is not None
        await self.client.start_notify(self._notify, notified)

    async def write(self, fragment: bytes, *, response: bool = True) -> None:
        assert self._write is not None
        await self.client.write_gatt_char(self._write, fragment, response=response)

    async def next(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()


@asynccontextmanager
async def dialled(adapter: str, data: bytes = DATA) -> AsyncIterator[Dialer]:
    device = await found(adapter, data)
    async with BleakClient(device, bluez={"adapter": adapter}) as client:
        dialer = Dialer(client)
        await dialer.subscribe()
        yield dialer


@asynccontextmanager
async def serving(adapter: str | None = "hci0") -> AsyncIterator[tuple[BluezPeripheral, "asyncio.Queue[Central]"]]:
    peripheral, arrived = BluezPeripheral(adapter), asyncio.Queue[Central]()
    async with peripheral.serving(arrived.put_nowait):
        await peripheral.advertise(DATA)
        yield peripheral, arrived


@pytest.mark.usefixtures("bluetooth")
async def test_fragments_both_ways() -> None:
    async with serving() as (_, arrived), dialled("hci1") as dialer:
        central = await arrived.get()
        assert central.source == "00:11:22:33:44:02"
        assert central.packet_bytes == 512
        for fragment in (b"one", bytes(512), b"three"):
            await dialer.write(fragment)
            assert await central.receive() == fragment
            await central.notify(fragment[::-1])
            assert await dialer.next() == fragment[::-1]
