"""What bluetoothd asks in one breath."""

import asyncio
import socket
from typing import cast

from dbus_fast import Message, Variant

from tests.transports.ble.bluez.rough import device
from transports.ble.bluez.bus import Bus
from transports.ble.bluez.guests import Guests
from transports.ble.bluez.names import NOTIFY_PATH, WRITE_PATH
from transports.ble.peripheral import Central


class Answers:
    """Our connection to the bus: what we answered, and that the sockets went."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.given: list[Message] = []

    def reply_with_socket(self, asked: Message, end: socket.socket, _: int) -> None:
        self.given.append(asked)
        end.close()

    def refuse(self, _: Message, __: str, sentence: str) -> None:
        self.refusals.append(sentence)


def asks(path: str, member: str, number: int) -> Message:
    told: dict[str, Variant] = {"device": device(number)}
    return Message(path=path, member=member, signature="a{sv}", body=[told])


async def test_a_subscription_that_comes_while_a_write_socket_is_asked_for_prevents_it() -> None:
    """What the other one writes meanwhile would be taken for the first one's: bluetoothd gives all that waits to the
    first socket."""
    bus, came = Answers(), list[Central]()
    guests = Guests(cast(Bus, bus), 2, came.append)
    guests.acquire_notify(asks(NOTIFY_PATH, "AcquireNotify", 1))
    guests.acquire_write(asks(WRITE_PATH, "AcquireWrite", 1))
    guests.acquire_notify(asks(NOTIFY_PATH, "AcquireNotify", 2))
    await asyncio.sleep(0)
    assert bus.refusals == ["0x0e"]
    assert [message.member for message in bus.given] == ["AcquireNotify", "AcquireNotify"]
    assert len(came) == 2
    await guests.aclose()
