"""One scanner for all who listen."""

import asyncio
from typing import cast

import pytest
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError

from tests.support.virtual_time import VirtualTimeLoop
from transports.ble.ear import START_MS, Ear
from transports.ble.radio import Heard
from transports.errors import LocalTransportError

loop_factory = VirtualTimeLoop
DEVICE = BLEDevice("F0:00:00:00:00:01", None, None)
SHOWN = AdvertisementData(None, {}, {}, [], None, -60, ())


class Antenna:
    """A scanner's `start` and `stop`, and how many of them scan."""

    def __init__(self) -> None:
        self.scanning = 0
        self.most = 0
        self.started = 0
        self.refusals: list[BleakError] = []
        self.stuck = False
        self.heard: Heard | None = None

    def make(self, heard: Heard) -> BleakScanner:
        self.heard = heard
        return cast(BleakScanner, self)

    async def start(self) -> None:
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        if self.refusals:
            raise self.refusals.pop(0)
        await asyncio.sleep(0.01)
        self.scanning += 1
        self.started += 1
        self.most = max(self.most, self.scanning)

    async def stop(self) -> None:
        await asyncio.sleep(0.01)
        self.scanning = max(0, self.scanning - 1)


@pytest.fixture
def antenna() -> Antenna:
    return Antenna()


@pytest.fixture
def ear(antenna: Antenna) -> Ear:
    return Ear(antenna.make)


def listener(heard: list[BLEDevice]) -> Heard:
    def hear(device: BLEDevice, _: AdvertisementData) -> None:
        heard.append(device)

    return hear


async def test_many_listen_through_one_scanner(ear: Ear, antenna: Antenna) -> None:
    first: list[BLEDevice] = []
    second: list[BLEDevice] = []
    async with ear.listening(listener(first)):
        async with ear.listening(listener(second)):
            assert antenna.heard is not None
            antenna.heard(DEVICE, SHOWN)
        antenna.heard(DEVICE, SHOWN)
    assert (len(first), len(second)) == (2, 1)
    assert (antenna.started, antenna.scanning) == (1, 0)


async def test_it_is_quiet_while_hushed_and_scans_on_after(ear: Ear, antenna: Antenna) -> None:
    async with ear.listening(listener([])):
        async with ear.hushed():
            assert antenna.scanning == 0
            async with ear.listening(listener([])):
                assert antenna.scanning == 0
        assert antenna.scanning == 1
    assert antenna.scanning == 0


async def test_a_crowd_that_comes_and_goes_never_scans_twice_at_once(ear: Ear, antenna: Antenna) -> None:
    async def one(number: int) -> None:
        await asyncio.sleep(number * 0.003)
        if number % 3:
            async with ear.listening(listener([])):
                await asyncio.sleep(0.01)
        else:
            async with ear.hushed():
                assert antenna.scanning == 0
                await asyncio.sleep(0.005)
                assert antenna.scanning == 0

    await asyncio.gather(*(one(number) for number in range(50)))
    assert antenna.most == 1
    assert antenna.scanning == 0


async def test_a_busy_radio_is_asked_again(ear: Ear, antenna: Antenna) -> None:
    antenna.refusals = [BleakError("[org.bluez.Error.InProgress] Operation already in progress")] * 3
    async with ear.listening(listener([])):
        assert antenna.scanning == 1


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (BleakBluetoothNotAvailableError("No adapter.", BleakBluetoothNotAvailableReason.POWERED_OFF), "switch it on"),
        (BleakError("[org.freedesktop.DBus.Error.AccessDenied] Rejected"), "AccessDenied"),
    ],
)
async def test_a_radio_that_refuses_is_told(ear: Ear, antenna: Antenna, refusal: BleakError, says: str) -> None:
    antenna.refusals = [refusal]
    with pytest.raises(LocalTransportError, match=says):
        async with ear.listening(listener([])):
            pytest.fail("listened without a radio")
    async with ear.listening(listener([])):
        assert antenna.scanning == 1
    assert antenna.scanning == 0


async def test_a_radio_that_is_busy_for_ever_is_told_in_time(ear: Ear, antenna: Antenna) -> None:
    antenna.stuck = True
    loop = asyncio.get_running_loop()
    before_s = loop.time()
    with pytest.raises(LocalTransportError, match="busy"):
        async with ear.listening(listener([])):
            pytest.fail("listened without a radio")
    assert loop.time() - before_s == pytest.approx(START_MS / 1000)


async def test_who_is_cancelled_while_it_starts_leaves_nothing_scanning(ear: Ear, antenna: Antenna) -> None:
    async def listen() -> None:
        async with ear.listening(listener([])):
            await asyncio.get_running_loop().create_future()

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.005)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert antenna.scanning == 0
    async with ear.listening(listener([])):
        assert antenna.scanning == 1
    assert antenna.scanning == 0
