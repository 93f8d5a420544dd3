"""Our service and advertisement at one bluetoothd, and the centrals that came: until either side ends it."""

import asyncio
import contextlib
from collections.abc import Callable

from dbus_fast import Message

from transports.ble.bluez.adapters import Adapter, choose
from transports.ble.bluez.advertising import Advertising
from transports.ble.bluez.application import Interfaces, service_objects
from transports.ble.bluez.bus import Bus
from transports.ble.bluez.guests import Guests
from transports.ble.bluez.names import (
    ADAPTER,
    ADVERTISEMENT,
    ADVERTISEMENT_PATH,
    APPLICATION_PATH,
    DEVICE,
    GATT_CHARACTERISTIC,
    GATT_MANAGER,
    INVALID_ARGS,
    OBJECT_MANAGER,
    PROPERTIES,
    UNKNOWN_METHOD,
)
from transports.ble.bluez.obstacles import Obstacle
from transports.ble.bluez.options import variants_of
from transports.ble.peripheral import MAX_CENTRALS, Arrived


class Registration:
    """Made by `open`. `ended` is set once bluetoothd, the bus or the adapter went: then it is of no use any more."""

    def __init__(self, bus: Bus, adapter: Adapter, arrived: Arrived) -> None:
        self._bus = bus
        self._adapter = adapter
        self._objects = service_objects(acquire_write=adapter.separates)
        self._advertising = Advertising(bus, adapter.path, adapter.name)
        self._guests = Guests(bus, MAX_CENTRALS if adapter.separates else 1, arrived)
        self._methods: dict[tuple[str, str], Callable[[Message], None]] = {
            (PROPERTIES, "GetAll"): self._get_all,
            (PROPERTIES, "Get"): self._get,
            (OBJECT_MANAGER, "GetManagedObjects"): self._get_objects,
            (GATT_CHARACTERISTIC, "WriteValue"): self._guests.write,
            (GATT_CHARACTERISTIC, "AcquireWrite"): self._guests.acquire_write,
            (GATT_CHARACTERISTIC, "AcquireNotify"): self._guests.acquire_notify,
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
        """As `Advertising.show`."""
        await self._advertising.show(data)

    async def aclose(self) -> None:
        """Disconnect every central, take back all that was registered, leave the bus. Idempotent."""
        try:
            if not self.ended.is_set():
                await self._take_back()
        finally:
            await self._advertising.aclose()
            await self._guests.aclose()
            await self._bus.aclose()

    async def _take_back(self) -> None:
        with contextlib.suppress(Obstacle):
            await self.show(None)
        await self._guests.disconnect_all()
        with contextlib.suppress(Obstacle):
            await self._bus.call(self._adapter.path, GATT_MANAGER, "UnregisterApplication", "o", [APPLICATION_PATH])

    async def _register(self) -> None:
        self._bus.attend(self._asked, self._signalled)
        await self._bus.call(self._adapter.path, GATT_MANAGER, "RegisterApplication", "oa{sv}", [APPLICATION_PATH, {}])

    def _asked(self, message: Message) -> bool:
        method = self._methods.get((message.interface or "", message.member or ""))
        if method is None:
            return False
        method(message)
        return True

    def _interfaces(self, path: str | None) -> Interfaces:
        if path == ADVERTISEMENT_PATH:
            return self._advertising.interfaces
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
        if message.path == ADVERTISEMENT_PATH and self._advertising.released():
            self.ended.set()

    def _signalled(self, message: Message) -> None:
        if message.member == "PropertiesChanged" and message.signature == "sa{sv}as":
            if message.body[0] == DEVICE:
                self._told_of_device(message.path or "", variants_of(message.body[1]).get("Connected"))
        elif message.member == "InterfacesAdded" and message.signature == "oa{sa{sv}}":
            path, interfaces = message.body
            if variants_of(interfaces.get(DEVICE, {})).get("Connected") is True:  # unknown until it connected
                self._told_of_device(path, connected=True)
        elif message.member == "InterfacesRemoved" and message.signature == "oas":
            path, interfaces = message.body
            if path == self._adapter.path and (ADAPTER in interfaces or GATT_MANAGER in interfaces):
                self.ended.set()
            elif DEVICE in interfaces:
                self._told_of_device(path, connected=False)

    def _told_of_device(self, path: str, connected: object) -> None:
        """connected: anything but True and False is no news of it."""
        if connected is False:
            self._guests.disconnected(path)
        if path.startswith(f"{self._adapter.path}/"):
            if connected is True:
                self._advertising.connected()
            elif connected is False:
                self._advertising.disconnected()
