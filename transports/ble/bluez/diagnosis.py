"""What stands in the way of Bluetooth on this machine, in sentences for the person who has to remove it.

It asks D-Bus and reads files that everybody may read; it changes nothing and switches nothing on.
"""

import configparser
from pathlib import Path

from transports.ble.bluez.adapters import (
    LEAST_VERSION,
    SEPARATE_VERSION,
    Adapter,
    Objects,
    pick,
    radio_block,
    spelled,
)
from transports.ble.bluez.bus import Bus
from transports.ble.bluez.names import ADVERTISING_MANAGER
from transports.ble.bluez.obstacles import ADD_ADAPTER, Obstacle, bluez_too_old, no_peripheral_role, no_room, radio_off
from transports.finding import Finding

MAIN_CONF = Path("/etc/bluetooth/main.conf")
KERNEL_ADAPTERS = Path("/sys/class/bluetooth")
PRIVATE = frozenset({"on", "network", "device", "limited-network", "limited-device"})
"""The values of Privacy that make an adapter change its address (BlueZ's src/main.conf)."""
_PRIVACY_REMEDY = f"set `Privacy = device` below [General] in {MAIN_CONF} and restart bluetoothd"


async def diagnose(
    adapter: str | None = None, *, main_conf: Path = MAIN_CONF, kernel_adapters: Path = KERNEL_ADAPTERS
) -> list[Finding]:
    """Look at everything that our peripheral's role needs. adapter: by name; None is the one that would be chosen.

    The codes are `dbus`, `bluetoothd`, `permission`, `adapter`, `radio`, `bluez`, `role`, `advertisements`,
    `discoverable`, `privacy`, and `refused` for what BlueZ answers that we don't know.

    Never raises for what it finds. What can't be looked at because of an earlier finding is left out.
    """
    try:
        bus = await Bus.connect(wake=False)
    except Obstacle as obstacle:
        return [_found(obstacle), *_kernel(obstacle, kernel_adapters)]
    try:
        objects = await bus.objects()
    except Obstacle as obstacle:
        return [_found(obstacle)]
    finally:
        await bus.aclose()
    running = Finding("bluetoothd", True, "BlueZ's daemon bluetoothd answers")
    try:
        chosen = pick(objects, adapter)
    except Obstacle as obstacle:
        return [running, _found(obstacle)]
    return [
        running,
        Finding("adapter", True, f"the adapter is {chosen.name}"),
        _radio(chosen),
        _bluez(chosen),
        _role(chosen),
        *_room(chosen, objects),
        *_discoverable(chosen, main_conf),
        _privacy(chosen, main_conf),
    ]


def _found(obstacle: Obstacle) -> Finding:
    return Finding(obstacle.code, False, obstacle.sentence, obstacle.remedy)


def _kernel(obstacle: Obstacle, adapters: Path) -> list[Finding]:
    """systemd starts bluetoothd only when the kernel has an adapter, so that is to be mended first."""
    if obstacle.code != "bluetoothd" or any(adapters.glob("hci*")):
        return []
    return [
        Finding("adapter", False, "the kernel knows no Bluetooth adapter, and bluetoothd waits for one", ADD_ADAPTER)
    ]


def _radio(adapter: Adapter) -> Finding:
    if not adapter.powered:
        return _found(radio_off(adapter.name, radio_block(adapter.name)))
    return Finding("radio", True, f"the radio of {adapter.name} is on")


def _bluez(adapter: Adapter) -> Finding:
    """The daemon tells no version, but its adapter's device id does as long as nobody changed it."""
    version = adapter.version
    if version is None:
        return Finding(
            "bluez",
            True,
            "BlueZ's version can't be told (main.conf names a DeviceID of its own)",
            f"see `bluetoothctl --version`: {spelled(SEPARATE_VERSION)} or newer is needed for several peers at once",
        )
    if version < LEAST_VERSION:
        return _found(bluez_too_old(spelled(version), spelled(LEAST_VERSION)))
    if version < SEPARATE_VERSION:
        return Finding(
            "bluez",
            False,
            f"BlueZ {spelled(version)} does not keep peers apart, so one at a time can connect to this node",
            f"update BlueZ to {spelled(SEPARATE_VERSION)} or newer",
        )
    return Finding("bluez", True, f"BlueZ {spelled(version)} is new enough")


def _role(adapter: Adapter) -> Finding:
    if not adapter.peripheral:
        return _found(no_peripheral_role(adapter.name))
    return Finding("role", True, f"{adapter.name} can be seen and connected to")


def _room(adapter: Adapter, objects: Objects) -> list[Finding]:
    """SupportedInstances counts those still free."""
    free = objects[adapter.path].get(ADVERTISING_MANAGER, {}).get("SupportedInstances")
    return [_found(no_room(adapter.name))] if adapter.peripheral and free == 0 else []


def _discoverable(adapter: Adapter, main_conf: Path) -> list[Finding]:
    """Others that hear it over classic Bluetooth too take it for a device of both kinds, and may call it the other way,
    where our service is not."""
    if not adapter.discoverable or _read(main_conf, "ControllerMode", "dual") == "le":
        return []
    return [
        Finding(
            "discoverable",
            False,
            f"{adapter.name} is discoverable over classic Bluetooth, so other nodes may dial it that way and fail",
            f"run `bluetoothctl discoverable off`, or set `ControllerMode = le` below [General] in {main_conf}",
        )
    ]


def _privacy(adapter: Adapter, main_conf: Path) -> Finding:
    """BlueZ tells nobody but root whether it is on, so the file is read; it counts from bluetoothd's last start. It is
    no obstacle: nodes meet either way."""
    try:
        text = main_conf.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        return Finding(
            "privacy",
            True,
            f"whether {adapter.name} changes its address can't be told ({main_conf}: {problem.strerror})",
            f"if it does not, whoever listens can follow this node: {_PRIVACY_REMEDY}",
        )
    value = _setting(text, "Privacy", "off")
    if value is None:
        return Finding("privacy", True, f"whether {adapter.name} changes its address can't be told ({main_conf})")
    if value.lower().split("/")[0] in PRIVATE:
        return Finding("privacy", True, f"{adapter.name} changes its address ({main_conf} says Privacy = {value})")
    return Finding(
        "privacy",
        True,
        f"{adapter.name} always shows the same address, by which whoever listens can follow this node",
        _PRIVACY_REMEDY,
    )


def _read(main_conf: Path, name: str, fallback: str) -> str | None:
    try:
        return _setting(main_conf.read_text(encoding="utf-8", errors="replace"), name, fallback)
    except OSError:
        return None


def _setting(text: str, name: str, fallback: str) -> str | None:
    """Of main.conf's [General]; fallback: what holds unless it says otherwise. None where the file can't be read."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser.get("General", name, fallback=fallback).strip() or fallback
