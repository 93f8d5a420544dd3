"""A node's radio in a virtual air: bumble's host over HCI."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bumble.core import BaseBumbleError
from bumble.device import Device
from bumble.hci import Address, OwnAddressType

from transports.ble.gatt import SERVICE_UUID
from transports.ble.peripheral import Peripheral
from transports.ble.radio import Heard
from transports.ble.virtual.client import VirtualClient
from transports.ble.virtual.operation import operation
from transports.ble.virtual.peripheral import VirtualPeripheral
from transports.ble.virtual.scanner import VirtualScanner
from transports.ble.virtual.streams import parse_place
from transports.ble.virtual.wire import Wire
from transports.errors import LocalTransportError

POWER_ON_MS = 5_000


class VirtualRadio:
    """place: where the air listens. address: ours, random static; None is a new one each time it is opened.

    Raises LocalTransportError for what is no place.
    """

    def __init__(self, place: str, address: str | None = None) -> None:
        self._place = parse_place(place)
        self._address = address
        self._device: Device | None = None
        self._wire: Wire | None = None
        self._counted = (0, 0)
        self._peripheral = VirtualPeripheral(self.device)

    @property
    def peripheral(self) -> Peripheral:
        return self._peripheral

    @property
    def address(self) -> str | None:
        return None if self._device is None else self._device.random_address.to_string(False)

    def device(self) -> Device:
        """bumble's. Raises LocalTransportError when not open, or when the air is gone."""
        if self._device is None or self._wire is None:
            raise LocalTransportError("the virtual radio is not open")
        if self._wire.terminated.done():
            raise LocalTransportError(f"the virtual air at {self._place} is gone: start it, then this node, again")
        return self._device

    @asynccontextmanager
    async def opened(self, went: Callable[[], None]) -> AsyncIterator[None]:
        if self._device is not None:
            raise LocalTransportError("the virtual radio is open already")
        try:
            reader, writer = await self._place.connect()
        except OSError as problem:
            raise LocalTransportError(
                f"there is no virtual air at {self._place}: start it first ({problem})"
            ) from problem
        self._wire = wire = Wire(reader, writer, went)
        reading = asyncio.create_task(wire.run())
        try:
            self._device = await self._powered_on(wire)
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            wire.lose()
            self._device = self._wire = None
            self._counted = (self._counted[0] + wire.sent, self._counted[1] + wire.received)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def scanner(self, heard: Heard) -> BleakScanner:
        return BleakScanner(heard, [SERVICE_UUID], backend=VirtualScanner, radio=self.device())

    def client(self, device: BLEDevice, lost: Callable[[BleakClient], None]) -> BleakClient:
        return BleakClient(device, lost, [SERVICE_UUID], backend=VirtualClient, radio=self.device())

    def octets(self) -> tuple[int, int] | None:
        """Of HCI, both ways."""
        wire = self._wire
        sent, received = (0, 0) if wire is None else (wire.sent, wire.received)
        return self._counted[0] + sent, self._counted[1] + received

    async def _powered_on(self, wire: Wire) -> Device:
        address = Address.generate_static_address() if self._address is None else Address(self._address)
        device = Device.with_hci("v2xnode", address, wire, wire)
        device.connect_own_address_type = OwnAddressType.RANDOM
        try:
            async with asyncio.timeout(POWER_ON_MS / 1000):
                await operation(device.power_on())
        except (BaseBumbleError, TimeoutError) as problem:
            raise LocalTransportError(f"the virtual air at {self._place} does not answer ({problem})") from problem
        return device
