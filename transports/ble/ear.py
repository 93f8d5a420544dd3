"""One scanner for all that listen, which is quiet while a connection is made.

A radio scans once at a time; BlueZ answers InProgress to a second scan, and to a connection during one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakError

from transports.ble.radio import Heard
from transports.errors import LocalTransportError

START_MS = 5_000
"""A scanner starts in milliseconds; one that is busy is asked again until then."""
AGAIN_MS = 250
"""How soon a busy one is asked again."""
STOP_MS = 2_000

_LOG = logging.getLogger(__name__)


class Ear:
    """make: a scanner that calls back."""

    def __init__(self, make: Callable[[Heard], BleakScanner]) -> None:
        self._make = make
        self._listeners: set[Heard] = set()
        self._hushed = 0
        self._scanner: BleakScanner | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def listening(self, heard: Heard) -> AsyncIterator[None]:
        """Call back for each advertisement of our service. Raises LocalTransportError."""
        self._listeners.add(heard)
        try:
            await self._adjust()
            yield
        finally:
            self._listeners.discard(heard)
            await self._leave()

    @asynccontextmanager
    async def hushed(self) -> AsyncIterator[None]:
        """No scan within."""
        self._hushed += 1
        try:
            await self._adjust()
            yield
        finally:
            self._hushed -= 1
            await self._leave()

    async def _adjust(self) -> None:
        """Start or stop as is wanted when our turn comes."""
        async with self._turn:
            wanted = bool(self._listeners) and not self._hushed
            if wanted and self._scanner is None:
                self._scanner = await self._start()
            elif not wanted and self._scanner is not None:
                scanner, self._scanner = self._scanner, None
                await _stop(scanner)

    async def _leave(self) -> None:
        """As `_adjust`; a radio that does not scan on for the others is no error of whoever leaves."""
        try:
            await self._adjust()
        except LocalTransportError as problem:
            _LOG.warning("%s", problem)

    async def _start(self) -> BleakScanner:
        scanner = self._make(self._hear)
        try:
            async with asyncio.timeout(START_MS / 1000):
                while True:
                    try:
                        await scanner.start()
                    except BleakBluetoothNotAvailableError:
                        raise
                    except BleakError as problem:
                        if "InProgress" not in str(problem):
                            raise
                        await asyncio.sleep(AGAIN_MS / 1000)
                    else:
                        return scanner
        except BleakBluetoothNotAvailableError as problem:
            raise LocalTransportError(
                f"there is no Bluetooth radio to use: switch it on ({problem.args[0]})"
            ) from problem
        except TimeoutError:
            raise LocalTransportError(f"the Bluetooth radio does not scan: it was busy for {START_MS} ms") from None
        except (BleakError, OSError) as problem:
            raise LocalTransportError(f"the Bluetooth radio does not scan: {problem}") from problem
        except asyncio.CancelledError:
            await _stop(scanner)
            raise

    def _hear(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        for heard in list(self._listeners):
            heard(device, advertisement)


async def _stop(scanner: BleakScanner) -> None:
    try:
        async with asyncio.timeout(STOP_MS / 1000):
            await scanner.stop()
    except (BleakError, TimeoutError, OSError) as problem:
        _LOG.debug("a scanner did not stop: %r", problem)
