"""The radio that the operating system has."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZClientArgs, BlueZScannerArgs
from bleak.backends.device import BLEDevice

from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.gatt import SERVICE_UUID
from transports.ble.peripheral import Peripheral
from transports.ble.radio import Heard


class SystemRadio:
    """bleak, and BlueZ for the peripheral. adapter, peripheral_adapter: as in `BleSettings`."""

    def __init__(self, adapter: str | None, peripheral_adapter: str | None) -> None:
        self._adapter = adapter
        self._went: Callable[[], None] = _nothing
        self._peripheral = BluezPeripheral(peripheral_adapter or adapter, went=lambda: self._went())

    @property
    def peripheral(self) -> Peripheral:
        return self._peripheral

    @property
    def address(self) -> str | None:
        return self._peripheral.address

    @asynccontextmanager
    async def opened(self, went: Callable[[], None]) -> AsyncIterator[None]:
        """Nothing is ours: bleak and the peripheral open what they need when they need it."""
        self._went = went
        try:
            yield
        finally:
            self._went = _nothing

    def scanner(self, heard: Heard) -> BleakScanner:
        options = BlueZScannerArgs() if self._adapter is None else BlueZScannerArgs(adapter=self._adapter)
        return BleakScanner(heard, [SERVICE_UUID], bluez=options)

    def client(self, device: BLEDevice, lost: Callable[[BleakClient], None]) -> BleakClient:
        options = BlueZClientArgs() if self._adapter is None else BlueZClientArgs(adapter=self._adapter)
        return BleakClient(device, lost, [SERVICE_UUID], bluez=options)

    def octets(self) -> tuple[int, int] | None:
        return None


def _nothing() -> None:
    """Nobody wants to know."""
