"""A bluetoothd that does just what a test tells it, badly if need be: for what a real one does once in a year."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from transports.ble.bluez.names import GATT_CHARACTERISTIC, NOTIFY_PATH, WRITE_PATH
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.peripheral import Central

ADAPTER: dict[str, dict[str, Variant]] = {
    "org.bluez.Adapter1": {"Powered": Variant("b", True), "Modalias": Variant("s", "usb:v1D6Bp0246d0557")},
    "org.bluez.GattManager1": {},
    "org.bluez.LEAdvertisingManager1": {},
}


class RoughBluetoothd:
    """deaf: methods that it never answers; refused: those that it answers with this error. called: every method call
    that it got, as (path, member); us: our peripheral's name on the bus, once it registered."""

    def __init__(self, connection: MessageBus) -> None:
        self._connection = connection
        self.adapter = {interface: dict(properties) for interface, properties in ADAPTER.items()}
        self.deaf: set[str] = set()
        self.refused: dict[str, str] = {}
        self.called: list[tuple[str, str]] = []
        self.us: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._sockets: list[socket.socket] = []
        connection.add_message_handler(self._heard)

    def _heard(self, message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        assert message.path is not None
        assert message.member is not None
        self.called.append((message.path, message.member))
        if message.member == "RegisterApplication":
            self.us = asyncio.get_running_loop().create_future()
            self.us.set_result(message.sender or "")
        if message.member in self.deaf:
            return True
        if message.member in self.refused:
            answer = Message.new_error(message, self.refused[message.member], "because")
        elif message.member == "GetManagedObjects":
            answer = Message.new_method_return(message, "a{oa{sa{sv}}}", [{"/org/bluez/hci0": self.adapter}])
        else:
            answer = Message.new_method_return(message)
        self._connection.send(answer)
        return True

    async def call(self, path: str, interface: str, member: str, signature: str, *body: Any) -> Message:
        """What our peripheral answers to this."""
        message = Message(await self.us, path, interface, member, signature=signature, body=list(body))
        return await self._connection.call(message)

    async def subscribed(self, number: int, **options: Variant) -> Message:
        """A central of this number subscribes."""
        told = {"device": device(number), **options}
        return await self.call(NOTIFY_PATH, GATT_CHARACTERISTIC, "AcquireNotify", "a{sv}", told)

    async def wrote(self, number: int, value: bytes, **options: Variant) -> Message:
        told = {"device": device(number), **options}
        return await self.call(WRITE_PATH, GATT_CHARACTERISTIC, "WriteValue", "aya{sv}", value, told)

    async def acquired_write(self, number: int) -> Message:
        told = {"device": device(number)}
        return await self.call(WRITE_PATH, GATT_CHARACTERISTIC, "AcquireWrite", "a{sv}", told)

    def socket_of(self, answer: Message) -> socket.socket:
        """That came with an answer. It does not block."""
        end = socket.socket(fileno=answer.unix_fds[answer.body[0]])
        end.setblocking(False)
        self._sockets.append(end)
        return end

    async def signal(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        await self._connection.send(Message.new_signal(path, interface, member, signature, list(body)))

    async def disconnected(self, number: int) -> None:
        """It says so of the device."""
        changed = {"Connected": Variant("b", False), "RSSI": Variant("n", -70)}
        await self.signal(
            path(number),
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            "sa{sv}as",
            "org.bluez.Device1",
            changed,
            [],
        )

    def close(self) -> None:
        for end in self._sockets:
            end.close()


def path(number: int) -> str:
    return f"/org/bluez/hci0/dev_00_00_00_00_00_{number:02X}"


def device(number: int) -> Variant:
    return Variant("o", path(number))


@asynccontextmanager
async def meeting() -> AsyncIterator[tuple[RoughBluetoothd, BluezPeripheral, "asyncio.Queue[Central]"]]:
    """Our peripheral serves there, and shows nothing yet."""
    peripheral, arrived = BluezPeripheral("hci0"), asyncio.Queue[Central]()
    async with rough_bluetoothd() as rough, peripheral.serving(arrived.put_nowait):
        yield rough, peripheral, arrived


@asynccontextmanager
async def rough_bluetoothd() -> AsyncIterator[RoughBluetoothd]:
    """On the bus that the environment names."""
    connection = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    rough = RoughBluetoothd(connection)
    try:
        await connection.request_name("org.bluez")
        yield rough
    finally:
        rough.close()
        connection.disconnect()
        with contextlib.suppress(EOFError):  # the bus was stopped
            await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
