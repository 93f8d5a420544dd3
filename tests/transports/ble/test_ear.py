"""One scanner for all who listen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError

from tests.support.virtual_time import VirtualTimeLoop
from transports.ble.ear import LATE_MS, START_MS, Ear
from transports.ble.radio import Heard
from transports.errors import LocalTransportError

loop_factory = VirtualTimeLoop
DEVICE = BLEDevice("F0:00:00:00:00:01", None, None)
BUSY = BleakError("[org.bluez.Error.InProgress] Operation already in progress")
SHOWN = AdvertisementData(None, {}, {}, [], None, -60, ())


class Antenna:
    """A scanner's `start` and `stop` as bleak's over BlueZ, and whether BlueZ scans.

    BlueZ begins whether or not anybody waits for its answer, and answers InProgress to all that ask meanwhile; bleak
    stops only what it was told that it began. begins: once set, BlueZ answers.
    """

    def __init__(self) -> None:
        self.scanning = False
        self.started = 0
        self.refusals: list[BleakError] = []
        self.begins = asyncio.Event()
        self.begins.set()
        self.ends = asyncio.Event()
        self.ends.set()
        self.heard: Heard | None = None
        self.discovered_devices_and_advertisement_data: dict[str, tuple[BLEDevice, AdvertisementData]] = {}

    def make(self, heard: Heard) -> BleakScanner:
        self.heard = heard
        self.discovered_devices_and_advertisement_data = {}
        return cast(BleakScanner, _Scanner(self))

    def tells(self) -> None:
        """Of a device, once: the radio filters what did not change."""
        assert self.heard is not None
        self.discovered_devices_and_advertisement_data[DEVICE.address] = DEVICE, SHOWN
        self.heard(DEVICE, SHOWN)


class _Scanner:
    def __init__(self, antenna: Antenna) -> None:
        self._antenna = antenna
        self._began = False

    @property
    def discovered_devices_and_advertisement_data(self) -> dict[str, tuple[BLEDevice, AdvertisementData]]:
        return self._antenna.discovered_devices_and_advertisement_data

    async def start(self) -> None:
        antenna = self._antenna
        if antenna.refusals:
            raise antenna.refusals.pop(0)
        if antenna.scanning:
            raise BUSY
        antenna.scanning = True
        antenna.started += 1
        await asyncio.sleep(0.01)
        await antenna.begins.wait()
        self._began = True

    async def stop(self) -> None:
        if self._began:
            self._began = False
            await asyncio.sleep(0.01)
            await self._antenna.ends.wait()
            self._antenna.scanning = False


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


@asynccontextmanager
async def opened(ear: Ear, antenna: Antenna) -> AsyncIterator[None]:
    """As while the bearer serves."""
    tasks = asyncio.all_tasks()
    yield
    await ear.aclose()
    assert not antenna.scanning
    assert asyncio.all_tasks() <= tasks


async def given_up(ear: Ear, after_s: float = 0.005) -> None:
    """Somebody begins to listen, and is cancelled."""

    async def listen() -> None:
        async with ear.listening(listener([])):
            await asyncio.get_running_loop().create_future()

    listening = asyncio.create_task(listen())
    await asyncio.sleep(after_s)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


async def test_many_listen_through_one_scanner(ear: Ear, antenna: Antenna) -> None:
    first: list[BLEDevice] = []
    second: list[BLEDevice] = []
    async with opened(ear, antenna):
        async with ear.listening(listener(first)):
            async with ear.listening(listener(second)):
                antenna.tells()
            antenna.tells()
        assert (len(first), len(second)) == (2, 1)
        assert antenna.started == 1


async def test_who_joins_a_scan_hears_what_it_heard_already(ear: Ear, antenna: Antenna) -> None:
    """A radio tells of a car that stands there only once in a scan."""
    first: list[BLEDevice] = []
    second: list[BLEDevice] = []
    async with opened(ear, antenna), ear.listening(listener(first)):
        antenna.tells()
        async with ear.listening(listener(second)):
            assert first == second == [DEVICE]
        async with ear.hushed():
            pass
        again: list[BLEDevice] = []
        async with ear.listening(listener(again)):
            assert again == []  # another scan, which tells of all anew


async def test_who_joins_a_scan_that_begins_hears_what_it_heard_already(ear: Ear, antenna: Antenna) -> None:
    loop = asyncio.get_running_loop()
    async with opened(ear, antenna), ear.listening(listener([])):
        async with ear.hushed():
            pass
        loop.call_later(0.005, antenna.tells)
        await asyncio.sleep(0.007)
        late: list[BLEDevice] = []
        async with ear.listening(listener(late)):
            assert late == [DEVICE]


async def test_it_is_quiet_while_hushed_and_scans_on_after(ear: Ear, antenna: Antenna) -> None:
    async with opened(ear, antenna), ear.listening(listener([])):
        async with ear.hushed():
            assert not antenna.scanning
            async with ear.listening(listener([])):
                assert not antenna.scanning
        async with ear.listening(listener([])):
            assert antenna.scanning


async def test_a_crowd_that_comes_and_goes_never_scans_twice_at_once(ear: Ear, antenna: Antenna) -> None:
    async def one(number: int) -> None:
        await asyncio.sleep(number * 0.003)
        if number % 3:
            async with ear.listening(listener([])):
                await asyncio.sleep(0.01)
        else:
            async with ear.hushed():
                assert not antenna.scanning
                await asyncio.sleep(0.005)
                assert not antenna.scanning

    async with opened(ear, antenna):
        await asyncio.gather(*(one(number) for number in range(50)))


async def test_a_busy_radio_is_asked_again(ear: Ear, antenna: Antenna) -> None:
    antenna.refusals = [BUSY] * 3
    async with opened(ear, antenna), ear.listening(listener([])):
        assert antenna.scanning


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (BleakBluetoothNotAvailableError("No adapter.", BleakBluetoothNotAvailableReason.POWERED_OFF), "switch it on"),
        (BleakError("[org.freedesktop.DBus.Error.AccessDenied] Rejected"), "AccessDenied"),
    ],
)
async def test_a_radio_that_refuses_is_told(ear: Ear, antenna: Antenna, refusal: BleakError, says: str) -> None:
    async with opened(ear, antenna):
        antenna.refusals = [refusal]
        with pytest.raises(LocalTransportError, match=says):
            async with ear.listening(listener([])):
                pytest.fail("listened without a radio")
        async with ear.listening(listener([])):
            assert antenna.scanning


async def test_a_radio_that_does_not_scan_on_for_others_is_told_of(
    ear: Ear, antenna: Antenna, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(ear, antenna), ear.listening(listener([])):
        async with ear.hushed():
            antenna.refusals = [BleakError("[org.bluez.Error.NotReady] Resource Not Ready")]
        await asyncio.sleep(0.1)
        assert "NotReady" in caplog.text


async def test_a_radio_that_is_busy_for_ever_is_told_in_time(ear: Ear, antenna: Antenna) -> None:
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks()
    antenna.begins.clear()
    for _ in range(2):
        before_s = loop.time()
        with pytest.raises(LocalTransportError, match="busy"):
            async with ear.listening(listener([])):
                pytest.fail("listened without a radio")
        assert loop.time() - before_s == pytest.approx(START_MS / 1000)
    before_s = loop.time()
    await ear.aclose()
    assert loop.time() - before_s <= (START_MS + LATE_MS) / 1000
    assert asyncio.all_tasks() <= tasks


async def test_what_begins_only_after_its_deadline_is_stopped_before_another_begins(ear: Ear, antenna: Antenna) -> None:
    """BlueZ goes on scanning for who gave up waiting, and would answer InProgress to all that follows."""
    async with opened(ear, antenna):
        antenna.begins.clear()
        with pytest.raises(LocalTransportError, match="busy"):
            async with ear.listening(listener([])):
                pytest.fail("listened without a radio")
        assert antenna.scanning
        antenna.begins.set()
        async with ear.listening(listener([])):
            assert antenna.scanning
        assert antenna.started == 2


@pytest.mark.parametrize("slow_s", [0.0, 1.0, 4.0])
async def test_who_is_cancelled_while_it_starts_stops_nobody_else(ear: Ear, antenna: Antenna, slow_s: float) -> None:
    loop = asyncio.get_running_loop()
    async with opened(ear, antenna):
        antenna.begins.clear()
        loop.call_later(slow_s, antenna.begins.set)
        await given_up(ear)
        assert loop.time() < 0.1
        async with ear.listening(listener([])):
            assert antenna.scanning
    assert not antenna.scanning


async def test_who_leaves_a_hush_leaves_at_once(ear: Ear, antenna: Antenna) -> None:
    """Whoever made a connection in it has it in hand, and a radio that is slow to scan on is none of its concern."""
    loop = asyncio.get_running_loop()
    async with opened(ear, antenna), ear.listening(listener([])):
        async with ear.hushed():
            antenna.begins.clear()
            before_s = loop.time()
        assert loop.time() == before_s
        antenna.begins.set()


async def test_a_scanner_that_stops_late_makes_the_next_one_wait(ear: Ear, antenna: Antenna) -> None:
    loop = asyncio.get_running_loop()
    async with opened(ear, antenna):
        async with ear.listening(listener([])):
            antenna.ends.clear()
            loop.call_later(3, antenna.ends.set)
        async with ear.hushed():
            assert loop.time() < 3  # it waited no longer than is decent
        async with ear.listening(listener([])):
            assert loop.time() >= 3
