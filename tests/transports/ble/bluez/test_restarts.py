"""bluetoothd, an adapter or the bus goes, and comes back."""

import asyncio
import logging

import pytest

from tests.contract.transport_contract import open_descriptors, until
from tests.transports.ble.bluez.dialer import DATA, arriving, asked, dialled, found, lost, received, serving
from tests.transports.ble.bluez.host import ADDRESSES, Host
from transports.ble.bluez import peripheral as peripheral_module
from transports.ble.bluez.obstacles import no_bluetoothd
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.peripheral import Central
from transports.errors import LocalTransportError

BACK_MS = 10_000
NEWER = bytes(reversed(DATA))


@pytest.fixture
def bluetooth(own_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(peripheral_module, "RETRY_MS", (20, 50))
    own_host.start_bus()
    own_host.start_bluetoothd(adapters=3)
    return own_host


async def back(peripheral: BluezPeripheral, adapter: str = "hci0") -> None:
    await until(lambda: peripheral.adapter == adapter, BACK_MS)


async def away(peripheral: BluezPeripheral) -> None:
    await until(lambda: peripheral.adapter is None, BACK_MS)


async def works(arrived: "asyncio.Queue[Central]", data: bytes) -> None:
    """Found by what it shows, dialled, and heard both ways.

    By an adapter that never met it before: the stand-in remembers an adapter that is gone for one that is back.
    """
    async with dialled("hci2", data) as dialer:
        central = await arriving(arrived)
        await dialer.write(b"again")
        assert await received(central) == b"again"
        await central.notify(b"indeed")
        assert await dialer.next() == b"indeed"


async def test_bluetoothd_restarts(bluetooth: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, peripheral_module.__name__)
    async with serving() as (peripheral, arrived):
        async with dialled("hci1"):
            central = await arriving(arrived)
            bluetooth.stop_bluetoothd()
            await lost(central)
        await away(peripheral)
        with pytest.raises(LocalTransportError, match="once it is back"):
            await peripheral.advertise(NEWER)
        await until(lambda: caplog.text.count("not yet back") > 2, BACK_MS)
        bluetooth.start_bluetoothd(adapters=3)
        await back(peripheral)
        await works(arrived, NEWER)
    ours = [record for record in caplog.records if record.name == peripheral_module.__name__]
    warnings = [record.getMessage() for record in ours if record.levelno >= logging.WARNING]
    assert warnings == [
        "bluetoothd or the adapter went: Bluetooth's links are lost",
        f"not yet back: {no_bluetoothd()}",
        "Bluetooth is back on hci0",
    ]


async def test_silence_outlasts_a_restart(bluetooth: Host) -> None:
    async with serving() as (peripheral, arrived):
        bluetooth.stop_bluetoothd()
        await away(peripheral)
        with pytest.raises(LocalTransportError):
            await peripheral.advertise(None)
        bluetooth.start_bluetoothd(adapters=3)
        await back(peripheral)
        await peripheral.advertise(NEWER)
        await works(arrived, NEWER)


async def test_the_adapter_is_unplugged_and_plugged_in_again(bluetooth: Host) -> None:
    async with serving() as (peripheral, arrived):
        async with dialled("hci1"):
            central = await arriving(arrived)
            await asked("org.bluez", "/org/bluezoo", "org.bluezoo.Manager1", "RemoveAdapter", "y", 0)
            await lost(central)
        await away(peripheral)
        await asked("org.bluez", "/org/bluezoo", "org.bluezoo.Manager1", "AddAdapter", "ys", 0, ADDRESSES[0])
        await back(peripheral)
        await works(arrived, DATA)


async def test_whoever_asked_is_told_that_it_went(bluetooth: Host) -> None:
    went = asyncio.Event()
    peripheral = BluezPeripheral("hci0", went=went.set)
    async with peripheral.serving(lambda _: None):
        bluetooth.stop_bluetoothd()
        async with asyncio.timeout(BACK_MS / 1000):
            await went.wait()


async def test_another_adapter_takes_over_where_none_is_named(bluetooth: Host) -> None:
    async with serving(None) as (peripheral, _):
        assert peripheral.adapter == "hci0"
        await asked("org.bluez", "/org/bluezoo", "org.bluezoo.Manager1", "RemoveAdapter", "y", 0)
        await back(peripheral, "hci1")
        await found("hci2", DATA)


async def test_the_bus_itself_restarts(bluetooth: Host) -> None:
    async with serving() as (peripheral, arrived):
        bluetooth.stop_bus()
        await away(peripheral)
        bluetooth.stop_bluetoothd()
        bluetooth.start_bus()
        bluetooth.start_bluetoothd(adapters=3)
        await back(peripheral)
        assert arrived.empty()
        await peripheral.advertise(NEWER)


@pytest.mark.parametrize("stop", ["bluetoothd", "bus"])
async def test_stopping_while_it_is_away_leaves_nothing(bluetooth: Host, stop: str) -> None:
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    async with serving() as (peripheral, _):
        (bluetooth.stop_bluetoothd if stop == "bluetoothd" else bluetooth.stop_bus)()
        await away(peripheral)
    assert peripheral.adapter is None
    assert asyncio.all_tasks() <= tasks
    assert open_descriptors() <= descriptors  # the host's own are closed


async def test_stopping_in_the_moment_that_it_goes_leaves_nothing(bluetooth: Host) -> None:
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    async with serving():
        bluetooth.stop_bluetoothd()
    assert asyncio.all_tasks() <= tasks
    assert open_descriptors() <= descriptors
