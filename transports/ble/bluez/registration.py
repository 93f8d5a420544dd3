"""Our service and advertisement at one bluetoothd, and the centrals that came: until either side ends it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from dbus_fast import Message

from transports.ble.bluez.adapters import Adapter, choose
from transports.ble.bluez.application import Interfaces, advertisement_object, service_objects
from transports.ble.bluez.bus import Bus, Refused
from transports.ble.bluez.central import BluezCentral, socket_pair
from transports.ble.bluez.names import (
    ADAPTER,
    ADVERTISEMENT,
    ADVERTISEMENT_PATH,
    ADVERTISING_MANAGER,
    APPLICATION_PATH,
    DEVICE,
    FAILED,
    GATT_CHARACTERISTIC,
    GATT_MANAGER,
    INVALID_ARGS,
    INVALID_OFFSET,
    NOT_AUTHORIZED,
    NOT_PERMITTED,
    NOTIFY_PATH,
    OBJECT_MANAGER,
    PROPERTIES,
    UNKNOWN_METHOD,
    WRITE_PATH,
)
from transports.ble.bluez.obstacles import Obstacle, no_room
from transports.ble.bluez.options import read_options, variants_of
from transports.ble.peripheral import MAX_CENTRALS, Arrived

HANG_UP_MS = 2_000
"""How long a disconnection may take before we go on regardless."""
BY_CALL = "0x0e"
"""The text of a refusal of AcquireWrite after which bluetoothd hands the write over by WriteValue; with another one it
would refuse the central's write (`acquire_write_reply` in its src/gatt-database.c)."""

_LOG = logging.getLogger(__name__)


class Registration:
    """Made by `open`. `ended` is set once bluetoothd, the bus or the adapter went: then it is of no use any more."""

    def __init__(self, bus: Bus, adapter: Adapter, arrived: Arrived) -> None:
        self._bus = bus
        self._adapter = adapter
        self._arrived = arrived
        self._objects = service_objects(acquire_write=adapter.separates)
        self._shown: Interfaces | None = None
        self._perhaps_shown = False
        self._centrals: dict[str, BluezCentral] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._methods: dict[tuple[str, str], Callable[[Message], None]] = {
            (PROPERTIES, "GetAll"): self._get_all,
            (PROPERTIES, "Get"): self._get,
            (OBJECT_MANAGER, "GetManagedObjects"): self._get_objects,
            (GATT_CHARACTERISTIC, "WriteValue"): self._write,
            (GATT_CHARACTERISTIC, "AcquireWrite"): self._acquire_write,
            (GATT_CHARACTERISTIC, "AcquireNotify"): self._acquire_notify,
            (ADVERTISEMENT, "Release"): self._released,
        }

    @classmethod
    async def open(cls, name: str | None, arrived: Arrived, *, wake: bool = True) -> "Registration":
        """Register our service with the adapter of this name, or with the first that is on. wake: let D-Bus start
        bluetoothd. Raises Obstacle, and leaves nothing then."""
        bus = await Bus.connect(wake=wake)
        try:
            registration = cls(bus, choose(await bus.objects(), name), arrived)
            await registration._register()
        except BaseException:
            await bus.aclose()
            raise
        return registration

    @property
    def adapter(self) -> Adapter:
        return self._adapter

    @property
    def ended(self) -> asyncio.Event:
        return self._bus.ended

    async def show(self, data: bytes | None) -> None:
        """Advertise this in place of what was shown before; None is nothing. Raises Obstacle, and shows nothing then.

        The old one goes first: two identifiers side by side would tell that they are the same node's, and some
        adapters have room for one alone.
        """
        self._shown = None
        if self._perhaps_shown:
            with contextlib.suppress(Refused):  # it was gone already
                await self._advertising("UnregisterAdvertisement", "o", [ADVERTISEMENT_PATH])
            self._perhaps_shown = False
        if data is None:
            return
        self._shown, self._perhaps_shown = advertisement_object(data), True
        try:
            await self._advertising("RegisterAdvertisement", "oa{sv}", [ADVERTISEMENT_PATH, {}])
        except BaseException as problem:
            self._shown = None
            if isinstance(problem, Refused) and problem.error == NOT_PERMITTED:
                raise no_room(self._adapter.name) from None
            raise

    async def aclose(self) -> None:
        """Disconnect every central, take back all that was registered, leave the bus. Idempotent."""
        try:
            if not self.ended.is_set():
                await self._take_back()
        finally:
            for central in list(self._centrals.values()):
                central.left("Bluetooth was switched off or restarted")
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._bus.aclose()

    async def _take_back(self) -> None:
        with contextlib.suppress(Obstacle):
            await self.show(None)
        await asyncio.gather(*(central.aclose() for central in list(self._centrals.values())))
        with contextlib.suppress(Obstacle):
            await self._bus.call(self._adapter.path, GATT_MANAGER, "UnregisterApplication", "o", [APPLICATION_PATH])

    async def _register(self) -> None:
        self._bus.attend(self._asked, self._signalled)
        await self._bus.call(self._adapter.path, GATT_MANAGER, "RegisterApplication", "oa{sv}", [APPLICATION_PATH, {}])

    async def _advertising(self, member: str, signature: str, body: list[Any]) -> None:
        await self._bus.call(self._adapter.path, ADVERTISING_MANAGER, member, signature, body)

    # What bluetoothd calls.

    def _asked(self, message: Message) -> bool:
        method = self._methods.get((message.interface or "", message.member or ""))
        if method is None:
            return False
        method(message)
        return True

    def _interfaces(self, path: str | None) -> Interfaces:
        if path == ADVERTISEMENT_PATH:
            return self._shown or {}
        return self._objects.get(path or "", {})

    def _get_all(self, message: Message) -> None:
        interface = str(message.body[0]) if message.body else ""
        properties = self._interfaces(message.path).get(interface)
        if properties is None:
            self._bus.refuse(message, INVALID_ARGS, f"{message.path} has no {interface}")
        else:
            self._bus.reply(message, "a{sv}", [properties])

    def _get(self, message: Message) -> None:
        interface, name = (str(word) for word in message.body) if message.signature == "ss" else ("", "")
        value = self._interfaces(message.path).get(interface, {}).get(name)
        if value is None:
            self._bus.refuse(message, INVALID_ARGS, f"{message.path} has no {interface}.{name}")
        else:
            self._bus.reply(message, "v", [value])

    def _get_objects(self, message: Message) -> None:
        if message.path == APPLICATION_PATH:
            self._bus.reply(message, "a{oa{sa{sv}}}", [self._objects])
        else:
            self._bus.refuse(message, UNKNOWN_METHOD, f"{message.path} has no objects below it")

    def _released(self, message: Message) -> None:
        """bluetoothd took our advertisement down, which it does when it or the adapter goes."""
        self._bus.reply(message)
        if message.path == ADVERTISEMENT_PATH and self._shown is not None:
            self._shown = None
            self.ended.set()

    def _acquire_notify(self, message: Message) -> None:
        options = read_options(message.body, 0)
        device = options.device
        if not device or message.path != NOTIFY_PATH:
            self._bus.refuse(message, FAILED, "which device?")
            return
        if device in self._centrals:  # it connected anew before we learned that it had left
            self._centrals[device].left("the central connected anew")
        if len(self._centrals) >= MAX_CENTRALS:
            _LOG.info("%s is one central too many", options.address)
            self._bus.refuse(message, FAILED, "too many are connected")
            self._start(self._hang_up(device))
            return
        ours, theirs = socket_pair()
        central = BluezCentral(
            options.address, options.mtu, ours, lambda: self._hang_up(device), lambda: self._left(device, central)
        )
        self._centrals[device] = central
        self._bus.reply_with_socket(message, theirs, options.mtu)
        self._arrived(central)

    def _acquire_write(self, message: Message) -> None:
        """Answered a moment later, when all that bluetoothd has asked before is known."""
        asyncio.get_running_loop().call_soon(self._give_write_socket, message)

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
        central.writes_come_by(ours, lambda: self._overflown(central))
        self._bus.reply_with_socket(message, theirs, central.mtu)

    def _write(self, message: Message) -> None:
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
                self._overflown(central)
            self._bus.reply(message)

    # What becomes of centrals.

    def _signalled(self, message: Message) -> None:
        if message.member == "PropertiesChanged" and message.signature == "sa{sv}as":
            interface, changed = str(message.body[0]), variants_of(message.body[1])
            if interface == DEVICE and changed.get("Connected") is False:
                self._disconnected(message.path or "")
        elif message.member == "InterfacesRemoved" and message.signature == "oas":
            path, interfaces = message.body
            if path == self._adapter.path and (ADAPTER in interfaces or GATT_MANAGER in interfaces):
                self.ended.set()
            elif DEVICE in interfaces:
                self._disconnected(path)

    def _disconnected(self, device: str) -> None:
        if device in self._centrals:
            self._centrals[device].left("the central disconnected")

    def _left(self, device: str, central: BluezCentral) -> None:
        if self._centrals.get(device) is central:
            del self._centrals[device]

    def _overflown(self, central: BluezCentral) -> None:
        _LOG.info("%s writes more than we can take", central.source)
        self._start(central.aclose())

    async def _hang_up(self, device: str) -> None:
        """Disconnect it, if bluetoothd will."""
        with contextlib.suppress(Obstacle, TimeoutError):
            async with asyncio.timeout(HANG_UP_MS / 1000):
                await self._bus.call(device, DEVICE, "Disconnect")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
