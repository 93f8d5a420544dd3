"""Staying in the air while somebody is connected, of which a kernel takes us each time."""

from typing import Any

import pytest
from dbus_fast import Variant

from tests.contract.transport_contract import until
from tests.transports.ble.bluez.dialer import DATA
from tests.transports.ble.bluez.host import Host
from tests.transports.ble.bluez.rough import RoughBluetoothd, path, rough_bluetoothd
from transports.ble.bluez import advertising
from transports.ble.bluez.names import DEVICE, OBJECT_MANAGER, PROPERTIES
from transports.ble.bluez.peripheral import BluezPeripheral

WITHIN_MS = 5_000
FAILED = "org.bluez.Error.Failed"


@pytest.fixture(autouse=True)
def _bus(own_host: Host) -> None:
    own_host.start_bus()


async def connected(rough: RoughBluetoothd, number: int, how: str = "changed") -> None:
    """added: it was unknown until then."""
    told: dict[str, Any] = {"Connected": Variant("b", True)}
    if how == "changed":
        await rough.signal(path(number), PROPERTIES, "PropertiesChanged", "sa{sv}as", DEVICE, told, [])
    else:
        await rough.signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", path(number), {DEVICE: told})


def registered(rough: RoughBluetoothd) -> int:
    return [member for _, member in rough.called].count("RegisterAdvertisement")


@pytest.mark.parametrize("how", ["changed", "added"])
async def test_who_connects_has_us_advertise_anew(how: str) -> None:
    peripheral = BluezPeripheral("hci0")
    async with rough_bluetoothd() as rough, peripheral.serving(lambda _: None):
        await connected(rough, 1, how)  # silent still
        await peripheral.advertise(DATA)
        assert registered(rough) == 1
        await connected(rough, 2, how)
        await until(lambda: registered(rough) == 2, WITHIN_MS)


@pytest.mark.parametrize("link_ends", [True, False])
async def test_a_controller_that_refuses_meanwhile_is_asked_again(
    link_ends: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When a link ended, or else after a while."""
    if not link_ends:
        monkeypatch.setattr(advertising, "AGAIN_MS", 50)
    peripheral = BluezPeripheral("hci0")
    async with rough_bluetoothd() as rough, peripheral.serving(lambda _: None):
        await peripheral.advertise(DATA)
        rough.refused["RegisterAdvertisement"] = FAILED
        await connected(rough, 1)
        await until(lambda: "not to be seen" in caplog.text, WITHIN_MS)
        if link_ends:
            rough.refused.clear()
            await rough.disconnected(1)
            await until(lambda: registered(rough) == 3, WITHIN_MS)
        else:
            await until(lambda: registered(rough) > 3, WITHIN_MS)
            assert caplog.text.count("not to be seen") == 1
