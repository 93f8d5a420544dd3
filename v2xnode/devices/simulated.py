"""Simulated devices: thin clients of the plant, in this process or behind a local socket. The driver `simulated`.

Which terminal, meter and battery a node owns is a matter of names; every request goes to the plant at world time.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from v2xnode.devices.errors import DeviceUnknown
from v2xnode.devices.interface import BatteryState, DeviceSet, PathCommand, PathSense, Reading
from v2xnode.devices.plain import from_plain
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.requests import answer, command_to_plain
from v2xnode.devices.plant_client import PlantSocket, connect_plant


class PlantAccess(Protocol):
    """A way to the plant: one request, one answer, in the plain values of `plant.requests`."""

    async def ask(self, request: Mapping[str, Any]) -> Any: ...


class LocalPlant:
    """The plant in this process. `now_ms` is the world clock, asked at every request."""

    def __init__(self, plant: Plant, now_ms: Callable[[], int]) -> None:
        self.plant = plant
        self._now_ms = now_ms

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """As over the socket. Raises DeviceError."""
        self.plant.advance(self._now_ms())
        return answer(self.plant, request)


class SimulatedCharger:
    """One terminal of the plant (a `Charger`)."""

    def __init__(self, access: PlantAccess, terminal: str) -> None:
        self._access = access
        self._terminal = terminal

    async def sense(self) -> PathSense:
        return from_plain(PathSense, await self._access.ask({"op": "sense", "terminal": self._terminal}))

    async def command(self, commands: Sequence[PathCommand]) -> None:
        plain = [command_to_plain(command) for command in commands]
        await self._access.ask({"op": "command", "terminal": self._terminal, "commands": plain})


class SimulatedMeter:
    """One meter of the plant (a `Meter`)."""

    def __init__(self, access: PlantAccess, meter: str) -> None:
        self._access = access
        self._meter = meter

    async def read(self) -> Reading:
        return from_plain(Reading, await self._access.ask({"op": "read", "meter": self._meter}))


class SimulatedBattery:
    """One battery manager of the plant (a `Battery`)."""

    def __init__(self, access: PlantAccess, battery: str) -> None:
        self._access = access
        self._battery = battery

    async def state(self) -> BatteryState:
        return from_plain(BatteryState, await self._access.ask({"op": "state", "battery": self._battery}))


def simulated_devices(access: PlantAccess, *, charger: str, meter: str, battery: str | None = None) -> DeviceSet:
    """The devices of one path by their names in the world."""
    own = None if battery is None else SimulatedBattery(access, battery)
    return DeviceSet(SimulatedCharger(access, charger), SimulatedMeter(access, meter), own)


@asynccontextmanager
async def open_simulated(options: Mapping[str, str]) -> AsyncIterator[DeviceSet]:
    """The driver's factory. Options: `socket` (the plant's path), `charger`, `meter` and, if there is one, `battery`.

    Raises DeviceUnknown for options that are missing or strange, DeviceUnreachable without a plant behind the socket.
    """
    wanted, allowed = {"socket", "charger", "meter"}, {"socket", "charger", "meter", "battery"}
    if not wanted <= options.keys() <= allowed:
        raise DeviceUnknown(f"The simulated driver takes {sorted(allowed)}, not {sorted(options)}.")
    access: PlantSocket
    async with connect_plant(options["socket"]) as access:
        names = {name: value for name, value in options.items() if name != "socket"}
        yield simulated_devices(access, charger=names["charger"], meter=names["meter"], battery=names.get("battery"))
