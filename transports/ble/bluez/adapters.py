"""Which adapter to use, and what it and its BlueZ are able to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transports.ble.bluez.names import ADAPTER, ADVERTISING_MANAGER, GATT_MANAGER
from transports.ble.bluez.obstacles import bluez_too_old, no_adapter, no_peripheral_role, radio_off, unknown_adapter

Version = tuple[int, int]
Objects = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Path, interface, property: what BlueZ's object manager tells."""

LEAST_VERSION: Version = (5, 48)
"""The first whose server asks us for a socket to notify through; earlier ones would notify every central alike."""
SEPARATE_VERSION: Version = (5, 76)
"""The first that keeps centrals apart. Before, what we say to one goes to all of them: they shared the first one's
socket until 5.69, and later each one's socket led to all. So one peer at a time is served."""

_MODALIAS = re.compile(r"usb:v1D6Bp0246d([0-9A-F]{2})([0-9A-F]{2})", re.IGNORECASE)
_RFKILL = Path("/sys/class/rfkill")


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter as BlueZ shows it. path: its object; address: of its making; version: BlueZ's, where it can be
    known; discoverable: whether it is seen over classic Bluetooth."""

    name: str
    path: str
    address: str
    powered: bool
    peripheral: bool
    discoverable: bool
    version: Version | None

    @property
    def separates(self) -> bool:
        """Whether BlueZ keeps its centrals apart, as far as is known."""
        return self.version is None or self.version >= SEPARATE_VERSION


def adapters(objects: Objects) -> list[Adapter]:
    """Every adapter, by name."""
    found = []
    for path, interfaces in objects.items():
        if ADAPTER not in interfaces:
            continue
        properties = interfaces[ADAPTER]
        # BlueZ before 5.55 tells no roles, but has these managers only where the adapter is able to.
        able = GATT_MANAGER in interfaces and ADVERTISING_MANAGER in interfaces
        found.append(
            Adapter(
                name=path.rpartition("/")[2],
                path=path,
                address=str(properties.get("Address", "")).upper(),
                powered=properties.get("Powered") is True,
                peripheral=able and "peripheral" in properties.get("Roles", ["peripheral"]),
                discoverable=properties.get("Discoverable") is True,
                version=bluez_version(properties.get("Modalias")),
            )
        )
    return sorted(found, key=lambda adapter: (len(adapter.name), adapter.name))


def choose(objects: Objects, name: str | None) -> Adapter:
    """As `pick`, but raises Obstacle also for one that can't be used as it is."""
    chosen = pick(objects, name)
    if not chosen.powered:
        raise radio_off(chosen.name, radio_block(chosen.name))
    if chosen.version is not None and chosen.version < LEAST_VERSION:
        raise bluez_too_old(spelled(chosen.version), spelled(LEAST_VERSION))
    if not chosen.peripheral:
        raise no_peripheral_role(chosen.name)
    return chosen


def pick(objects: Objects, name: str | None) -> Adapter:
    """The adapter of this name, or the first that is on and can be seen. Raises Obstacle where there is none."""
    known = adapters(objects)
    if not known:
        raise no_adapter()
    if name is None:
        usable = [adapter for adapter in known if adapter.powered and adapter.peripheral]
        return next(iter(usable or [adapter for adapter in known if adapter.powered] or known))
    for adapter in known:
        if adapter.name == name:
            return adapter
    raise unknown_adapter(name, [adapter.name for adapter in known])


def bluez_version(modalias: object) -> Version | None:
    """BlueZ's version. There is no property for it, but it is in the device id that BlueZ gives an adapter (its
    src/main.c), unless the host's main.conf names another DeviceID: then None."""
    matching = _MODALIAS.fullmatch(modalias) if isinstance(modalias, str) else None
    return (int(matching[1], 16), int(matching[2], 16)) if matching else None


def spelled(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def radio_block(name: str, rfkill: Path = _RFKILL) -> str | None:
    """`hard`, `soft` or None: what the kernel's rfkill says about the adapter of this name."""
    for entry in sorted(rfkill.glob("rfkill*")):
        try:
            if (entry / "name").read_text().strip() != name:
                continue
            for block in ("hard", "soft"):
                if (entry / block).read_text().strip() == "1":
                    return block
        except OSError:  # it went meanwhile
            continue
    return None
