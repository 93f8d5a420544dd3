"""A stand-in for bluetoothd in a process of its own: BlueZoo 1.0.2, made to do as bluetoothd where we depend on it.

    python -m tests.transports.ble.bluez.stand_in --adapter 00:11:22:33:44:01 [--off] [--roles central] [--version 5.70]

It serves the bus at DBUS_SYSTEM_BUS_ADDRESS and prints `ready`. BlueZoo is free software under GPL-2.0 and only ever
loaded here, by the process that this file starts: nothing of the product imports it, or this.

What bluetoothd does otherwise than BlueZoo (from bluetoothd's sources, src/gatt-database.c and src/adapter.c):
- ManufacturerData has numbers as keys, and a device heard in another discovery signals so, once;
- a discovery takes a moment to begin, and goes on when who asked for it gave up; a second one of a program is refused;
- an advertisement stops when a device connects to its adapter, until it is registered anew or a link ends (the kernel);
- services and sockets of a device go when it disconnects;
- each central has a notify socket and a write socket of its own; where AcquireWrite is refused with 0x0e, the write
  goes by WriteValue.
"""

import argparse
import asyncio
import contextlib
import importlib
import os
import socket
from typing import Any

bluezoo: Any = importlib.import_module("bluezoo.bluezoo")
device: Any = importlib.import_module("bluezoo.device")
adapter: Any = importlib.import_module("bluezoo.adapter")
gatt: Any = importlib.import_module("bluezoo.gatt")
exceptions: Any = importlib.import_module("bluezoo.exceptions")
events: Any = importlib.import_module("bluezoo.events")
interfaces: Any = importlib.import_module("bluezoo.interfaces.GattCharacteristic")
sdbus: Any = importlib.import_module("sdbus")

Link: Any = gatt.GattCharacteristicClientLink

SCAN_S = 0.1
"""Between looks of an adapter that discovers."""
BEGIN_S = 0.05
"""Until a discovery that began is answered."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--off", action="store_true")
    parser.add_argument("--roles", default="central peripheral")
    parser.add_argument("--version", default="5.79")
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--mtu", type=int, default=517)
    chosen = parser.parse_args()
    number_keys()
    heard_anew()
    discoveries()
    gone_when_disconnected()
    stopped_when_connected()
    sockets_for_each()
    described(chosen.roles.split(), chosen.version, chosen.instances)
    vars(Link)["MTU"].property_getter = lambda _: chosen.mtu
    loop = asyncio.new_event_loop()
    loop.run_until_complete(bluezoo.startup(adapters=chosen.adapter, auto_enable=not chosen.off, scan_interval=SCAN_S))
    print("ready", flush=True)
    loop.run_forever()


def number_keys() -> None:
    for kind in device.Device.__mro__:
        described_property: Any = vars(kind).get("ManufacturerData")
        if getattr(described_property, "property_signature", None) == "a{sv}":
            described_property.property_signature = "a{qv}"


def heard_anew() -> None:
    once = device.Device.properties_sync

    async def again(self: Any, seen: Any) -> None:
        await once(self, seen)
        told = vars(self.adapter).setdefault("v2x_told", set())
        if self.address not in told:
            told.add(self.address)
            await self.ManufacturerData.set_async(seen.manufacturer_data)

    device.Device.properties_sync = again


def discoveries() -> None:
    once = vars(adapter.Adapter)["StartDiscovery"].original_method

    async def start_discovery(self: Any) -> None:
        if sdbus.get_current_message().sender in self.scan_subscribers:
            raise exceptions.DBusBluezInProgressError("Operation already in progress")
        self.v2x_told = set()
        await once(self)
        await asyncio.sleep(BEGIN_S)

    replace(adapter.Adapter, "StartDiscovery", start_discovery)


def gone_when_disconnected() -> None:
    once = device.Device.disconnect

    async def disconnect(self: Any, uuid: str | None = None) -> None:
        # Either side's view of the link may be asked, and the services hang on the central's view of the peripheral.
        others = [one for known in self.adapter.mock.adapters.values() for one in known.devices.values()]
        away = [one for one in others if one.adapter is self.peer_adapter and one.peer_adapter is self.adapter]
        for view in {self, *away}:
            for path, link in reversed(list(view.services.items())):
                if isinstance(link, Link):
                    hang_up(link)
                self.adapter.mock.remove_object(link)
                del view.services[path]
            await view.ServicesResolved.set_async(False)
        for view in away:
            await view.Connected.set_async(False)
        await once(self, uuid)

    device.Device.disconnect = disconnect


def stopped_when_connected() -> None:
    connect, disconnect = device.Device.connect, device.Device.disconnect

    async def connected(self: Any, uuid: str | None = None) -> None:
        for shown in self.peer_adapter.advertisements.values():
            shown.Discoverable.cache(False)  # BlueZoo passes over such a one
        await connect(self, uuid)

    async def disconnected(self: Any, uuid: str | None = None) -> None:
        await disconnect(self, uuid)
        for end in (self.adapter, self.peer_adapter):
            for shown in end.advertisements.values():
                shown.Discoverable.cache(True)

    device.Device.connect, device.Device.disconnect = connected, disconnected


def hang_up(link: Any) -> None:
    for name in ("v2x_notify", "v2x_write"):
        end = getattr(link, name, None)
        if end is not None:
            asyncio.get_running_loop().remove_reader(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # sdbus keeps a copy of the descriptor
            end.close()
            setattr(link, name, None)


def options(link: Any, **more: Any) -> dict[str, Any]:
    return {
        "device": ("o", link.service.device.peer.get_object_path()),
        "mtu": ("q", link.MTU.dbus_property.property_getter(link)),
        "link": ("s", "LE"),
        **more,
    }


def own_socket(descriptor: int) -> socket.socket:
    """A descriptor that came over D-Bus is closed with its message."""
    end = socket.socket(fileno=os.dup(descriptor))
    end.setblocking(False)
    return end


def sockets_for_each() -> None:
    async def start_notify(self: Any) -> None:
        if getattr(self, "v2x_notify", None) is not None:
            return
        descriptor, _ = await self.client.AcquireNotify(options(self))
        end = self.v2x_notify = own_socket(descriptor)
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[bytes] = asyncio.Queue()

        async def tell() -> None:
            while data := await said.get():
                await self.Value.set_async(data)

        self.v2x_telling = loop.create_task(tell())

        def read() -> None:
            try:
                data = end.recv(512)
            except OSError:
                data = b""
            said.put_nowait(data)
            if not data:
                hang_up(self)

        loop.add_reader(end, read)

    async def acquire_notify(self: Any, _: dict[str, Any]) -> tuple[int, int]:
        answer: tuple[int, int] = await self.client.AcquireNotify(options(self))
        return answer

    async def stop_notify(self: Any) -> None:
        hang_up(self)

    async def write_value(self: Any, value: bytes, asked: dict[str, Any]) -> None:
        kind = asked.get("type", ("s", "request"))
        if getattr(self, "v2x_write", None) is None and self.client.WriteAcquired.get() is not None:
            try:
                descriptor, _ = await self.client.AcquireWrite(options(self))
                self.v2x_write = own_socket(descriptor)
            except sdbus.SdBusBaseError as refused:
                if "0x0e" not in str(refused):
                    raise
        if getattr(self, "v2x_write", None) is not None:
            self.v2x_write.send(value)
        else:
            await self.client.WriteValue(value, options(self, type=kind))

    for name, work in (
        ("StartNotify", start_notify),
        ("AcquireNotify", acquire_notify),
        ("StopNotify", stop_notify),
        ("WriteValue", write_value),
    ):
        replace(Link, name, work)


def replace(kind: Any, name: str, work: Any) -> None:
    """sdbus keeps the function of a method in a descriptor."""
    vars(kind)[name].original_method = work


def described(roles: list[str], version: str, instances: int) -> None:
    major, minor = (int(part) for part in version.split("."))
    show = {"Roles": lambda _: roles, "Modalias": lambda _: f"usb:v1D6Bp0246d{major:02X}{minor:02X}"}
    for name, getter in show.items():
        vars(adapter.Adapter)[name].property_getter = getter
    adapter.Adapter.SUPPORTED_ADVERTISEMENT_INSTANCES = instances


if __name__ == "__main__":
    main()
