"""Disconnecting over a bluetoothd that takes its time: it lets a link be for 2 s first, and answers only then."""

import asyncio
from typing import Any, cast

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from dbus_fast import Message, Variant

from tests.support.virtual_time import VirtualTimeLoop
from transports.ble.bluez.bus import Bus
from transports.ble.bluez.guests import Guests
from transports.ble.bluez.names import NOTIFY_PATH
from transports.ble.central import DISCONNECT_MS, ConnectedPeer
from transports.ble.inbox import Inbox
from transports.ble.peripheral import Central

loop_factory = VirtualTimeLoop
DELAY_S = 3.0
DEVICE = "/org/bluez/hci0/dev_00_00_00_00_00_01"


class Slow:
    """A client of bleak's, and our connection to the bus. delay_s: how long a disconnection takes."""

    def __init__(self, delay_s: float = DELAY_S) -> None:
        self._delay_s = delay_s
        self.disconnected = False

    async def disconnect(self) -> None:
        await asyncio.sleep(self._delay_s)
        self.disconnected = True

    async def call(self, path: str, _: str, member: str) -> list[Any]:
        assert (path, member) == (DEVICE, "Disconnect")
        await self.disconnect()
        return []

    def reply_with_socket(self, _: Message, end: Any, mtu: int) -> None:
        end.close()


def peer(client: Slow) -> ConnectedPeer:
    return ConnectedPeer("there", cast(BleakClient, client), cast(BleakGATTCharacteristic, None), Inbox(1))


async def test_a_peer_that_we_dialled_is_gone_when_its_end_closed() -> None:
    client = Slow()
    await peer(client).aclose()
    assert client.disconnected


async def test_one_that_never_goes_is_given_up() -> None:
    client = Slow(3_600)
    await peer(client).aclose()
    assert not client.disconnected
    assert asyncio.get_running_loop().time() < DISCONNECT_MS / 1000 + 1


async def test_a_central_that_came_is_gone_when_its_end_closed() -> None:
    bus, came = Slow(), list[Central]()
    guests = Guests(cast(Bus, bus), 1, came.append)
    asked = Message(
        path=NOTIFY_PATH, member="AcquireNotify", body=[{"device": Variant("o", DEVICE)}], signature="a{sv}"
    )
    guests.acquire_notify(asked)
    await came[0].aclose()
    assert bus.disconnected
    await guests.aclose()
