"""The centrals that came to one bluetoothd, and what it asks about them: sockets to notify and to write by."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine
from typing import Any

from dbus_fast import Message

from transports.ble.bluez.bus import Bus
from transports.ble.bluez.central import BluezCentral, socket_pair
from transports.ble.bluez.names import (
    DEVICE,
    FAILED,
    INVALID_ARGS,
    INVALID_OFFSET,
    NOT_AUTHORIZED,
    NOTIFY_PATH,
    WRITE_PATH,
)
from transports.ble.bluez.obstacles import Obstacle
from transports.ble.bluez.options import Options, read_options
from transports.ble.peripheral import Arrived

HANG_UP_MS = 5_000
"""How long a disconnection may take before we go on regardless: bluetoothd answers when it is done, 2 to 3 s later
(`DISCONNECT_TIMER` in its src/device.c)."""
BY_CALL = "0x0e"
"""The text of a refusal of AcquireWrite after which bluetoothd hands the write over by WriteValue; with another one it
would refuse the central's write (`acquire_write_reply` in its src/gatt-database.c)."""
MAX_TOLD = 16
"""Devices whose wrongs are told of."""

_LOG = logging.getLogger(__name__)


class Guests:
    """One for each device, by its object's path. most: how many there may be; arrived: called with each that
    subscribed."""

    def __init__(self, bus: Bus, most: int, arrived: Arrived) -> None:
        self._bus = bus
        self._most = most
        self._arrived = arrived
        self._centrals: dict[str, BluezCentral] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()

    def acquire_notify(self, message: Message) -> None:
        """A central subscribes, which makes it one of ours. It is answered with a socket for what we say."""
        options = read_options(message.body, 0)
        device = options.device
        if not device or message.path != NOTIFY_PATH:
            self._bus.refuse(message, FAILED, "which device?")
            return
        if device in self._centrals:  # it connected anew before we learned that it had left
            self._centrals[device].left("the central connected anew")
        if len(self._centrals) >= self._most:
            self._tell_once(f"{options.address} comes when {self._most} are connected, as many as may be")
            self._bus.refuse(message, FAILED, "too many are connected")
            self._start(self._hang_up(device))
            return
        central, theirs = self._welcome(options)
        self._bus.reply_with_socket(message, theirs, options.mtu)
        self._arrived(central)

    def acquire_write(self, message: Message) -> None:
        """A central writes for the first time: bluetoothd would like a socket for that and all that follows. Answered
        a moment later, when all that it has asked before is known."""
        asyncio.get_running_loop().call_soon(self._give_write_socket, message)

    def write(self, message: Message) -> None:
        """A write that comes by a call."""
        if message.path != WRITE_PATH or message.signature != "aya{sv}":
            self._bus.refuse(message, INVALID_ARGS, "no such write")
            return
        options = read_options(message.body, 1)
        central = self._centrals.get(options.device)
        if central is None:
            self._bus.refuse(message, NOT_AUTHORIZED, "subscribe first")
        elif options.offset:
            self._bus.refuse(message, INVALID_OFFSET, "write from the beginning")
        else:
            central.mtu = options.mtu
            if not central.written(bytes(message.body[0])):
                self._overflown(options.device)
            self._bus.reply(message)

    def disconnected(self, device: str) -> None:
        """bluetoothd says so."""
        if device in self._centrals:
            self._centrals[device].left("the central disconnected")

    async def disconnect_all(self) -> None:
        """For as long as bluetoothd is there."""
        await asyncio.gather(*(central.aclose() for central in list(self._centrals.values())))

    async def aclose(self) -> None:
        """Whoever is still here is lost, and no task is left."""
        for central in list(self._centrals.values()):
            central.left("Bluetooth was switched off or restarted")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _welcome(self, options: Options) -> tuple[BluezCentral, socket.socket]:
        device = options.device
        ours, theirs = socket_pair()
        central = BluezCentral(
            options.address, options.mtu, ours, lambda: self._hang_up(device), lambda: self._left(device, central)
        )
        self._centrals[device] = central
        return central, theirs

    def _give_write_socket(self, message: Message) -> None:
        """What others write while bluetoothd waits for our answer goes into this socket too, and would look like this
        central's. So it is given only while nobody else is there who has none yet; until then writes come by calls."""
        options = read_options(message.body, 0)
        central = self._centrals.get(options.device) if message.path == WRITE_PATH else None
        if central is None:
            self._bus.refuse(message, NOT_AUTHORIZED, "subscribe first")
            return
        if any(not other.has_write_socket for other in self._centrals.values() if other is not central):
            self._bus.refuse(message, FAILED, BY_CALL)
            return
        central.mtu = options.mtu
        ours, theirs = socket_pair()
        central.writes_come_by(ours, lambda: self._overflown(options.device))
        self._bus.reply_with_socket(message, theirs, options.mtu)

    def _overflown(self, device: str) -> None:
        central = self._centrals[device]
        self._tell_once(f"{central.source} writes more than we can take")
        central.left("the central wrote more than we could take")
        self._start(self._hang_up(device))

    def _left(self, device: str, central: BluezCentral) -> None:
        if self._centrals.get(device) is central:
            del self._centrals[device]

    def _tell_once(self, what: str) -> None:
        """Each device may do each wrong again and again, but is told of once; and not too many of them."""
        if what not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(what)
            _LOG.warning("%s: it is disconnected", what)

    async def _hang_up(self, device: str) -> None:
        """Disconnect it, if bluetoothd will."""
        with contextlib.suppress(Obstacle, TimeoutError):
            async with asyncio.timeout(HANG_UP_MS / 1000):
                await self._bus.call(device, DEVICE, "Disconnect")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
