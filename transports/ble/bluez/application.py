"""What bluetoothd reads of us on D-Bus: our GATT service, and an advertisement."""

from typing import Any

from dbus_fast import Variant

from transports.ble.advertisement import COMPANY_ID
from transports.ble.bluez.names import (
    ADVERTISEMENT,
    GATT_CHARACTERISTIC,
    GATT_SERVICE,
    NOTIFY_PATH,
    SERVICE_PATH,
    WRITE_PATH,
)
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID

INTERVAL_MS = (100, 150)
"""Between advertisements. The kernel's own is 1,280 ms, with which a window of a second misses half of them."""

Interfaces = dict[str, dict[str, Variant]]


def service_objects(*, acquire_write: bool) -> dict[str, Interfaces]:
    """Path, interface, property. acquire_write: offer to take writes by a socket.

    A property that ends with Acquired, whatever its value, tells bluetoothd that the call of that name works.
    """
    service = {"UUID": Variant("s", SERVICE_UUID), "Primary": Variant("b", True)}
    writing = {
        "UUID": Variant("s", WRITE_UUID),
        "Service": Variant("o", SERVICE_PATH),
        "Flags": Variant("as", ["write", "write-without-response"]),
    }
    if acquire_write:
        writing["WriteAcquired"] = Variant("b", False)
    notifying = {
        "UUID": Variant("s", NOTIFY_UUID),
        "Service": Variant("o", SERVICE_PATH),
        "Flags": Variant("as", ["notify"]),
        "NotifyAcquired": Variant("b", False),
    }
    return {
        SERVICE_PATH: {GATT_SERVICE: service},
        WRITE_PATH: {GATT_CHARACTERISTIC: writing},
        NOTIFY_PATH: {GATT_CHARACTERISTIC: notifying},
    }


def advertisement_object(data: bytes) -> Interfaces:
    """Just what fits into 31 bytes, so neither a name nor the transmission power. data: of `COMPANY_ID`."""
    least_ms, most_ms = INTERVAL_MS
    shown: dict[str, tuple[str, Any]] = {
        "Type": ("s", "peripheral"),
        "ServiceUUIDs": ("as", [SERVICE_UUID]),
        "ManufacturerData": ("a{qv}", {COMPANY_ID: Variant("ay", data)}),
        "Discoverable": ("b", True),
        "MinInterval": ("u", least_ms),
        "MaxInterval": ("u", most_ms),
    }
    return {ADVERTISEMENT: {name: Variant(signature, value) for name, (signature, value) in shown.items()}}
