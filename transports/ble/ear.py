"""One scanner for all that listen, which is quiet while a connection is made.

A radio scans once at a time; BlueZ answers InProgress to a second scan, and to a connection during one. It also goes on
scanning for a program that gave up waiting until it began. So whoever listens or hushes only says what is wanted; one
task at a time brings the scanner there, and nobody who is cancelled takes it along.
"""

import asyncio
import contextlib
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
LATE_MS = 5_000
"""How long the end of serving waits for a scanner that neither began nor stopped in time."""

_LOG = logging.getLogger(__name__)


class Ear:
    """make: a scanner that calls back. Closed by `aclose`: nothing scans after it."""

    def __init__(self, make: Callable[[Heard], BleakScanner]) -> None:
        self._make = make
        self._listeners: set[Heard] = set()
        self._hushed = 0
        self._closed = False
        self._scanner: BleakScanner | None = None
        self._hearing: BleakScanner | None = None
        """The same one, and before that from when it is asked to begin: it may hear before it is told that it began."""
        self._tending: asyncio.Task[None] | None = None
        self._waiting = 0
        self._late: asyncio.Task[None] | None = None
        """A scanner that was given up and still has to stop: no other begins before."""

    @asynccontextmanager
    async def listening(self, heard: Heard) -> AsyncIterator[None]:
        """Call back for each advertisement of our service, those that this scan heard already included: a radio tells
        of each only once until it changes. Leaving never waits. Raises LocalTransportError."""
        self._listeners.add(heard)
        try:
            if self._hearing is not None:
                for device, advertisement in self._hearing.discovered_devices_and_advertisement_data.values():
                    heard(device, advertisement)
            await self._settled()
            yield
        finally:
            self._listeners.discard(heard)
            self._tend()

    @asynccontextmanager
    async def hushed(self) -> AsyncIterator[None]:
        """No scan within. Leaving never waits."""
        self._hushed += 1
        try:
            with contextlib.suppress(LocalTransportError):  # it was about to scan and can't: quiet enough
                await self._settled()
            yield
        finally:
            self._hushed -= 1
            self._tend()

    async def aclose(self) -> None:
        """Stop whatever scans, within `START_MS` + `STOP_MS` + `LATE_MS`. Who still listens hears nothing more."""
        self._closed = True
        with contextlib.suppress(LocalTransportError):
            await self._settled()
        if self._late is not None:
            await asyncio.wait({self._late}, timeout=LATE_MS / 1000)
            self._late.cancel()
            await asyncio.gather(self._late, return_exceptions=True)

    async def _settled(self) -> None:
        """Until the scanner does what is wanted. Raises LocalTransportError when it can't."""
        self._waiting += 1
        try:
            await asyncio.shield(self._tend())
        finally:
            self._waiting -= 1

    def _tend(self) -> asyncio.Task[None]:
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._adjust())
            self._tending.add_done_callback(self._tended)
        return self._tending

    def _tended(self, task: asyncio.Task[None]) -> None:
        """A radio that does not scan on for others is told of, unless somebody who waits is told it."""
        if not task.cancelled() and (problem := task.exception()) is not None and not self._waiting:
            _LOG.warning("%s", problem)

    async def _adjust(self) -> None:
        while True:
            wanted = bool(self._listeners) and not self._hushed and not self._closed
            if wanted and self._scanner is None:
                self._scanner = await self._start()
            elif not wanted and self._scanner is not None:
                scanner, self._scanner, self._hearing = self._scanner, None, None
                await self._stop(scanner)
            else:
                return

    async def _start(self) -> BleakScanner:
        scanner, began = self._make(self._hear), False
        try:
            async with asyncio.timeout(START_MS / 1000):
                if self._late is not None:
                    await asyncio.wait({self._late})
                    self._late = None
                self._hearing = scanner
                await self._begin(scanner)
                began = True
        except BleakBluetoothNotAvailableError as problem:
            raise LocalTransportError(
                f"there is no Bluetooth radio to use: switch it on ({problem.args[0]})"
            ) from problem
        except TimeoutError:
            raise LocalTransportError(f"the Bluetooth radio does not scan: it was busy for {START_MS} ms") from None
        except (BleakError, OSError, EOFError) as problem:
            raise LocalTransportError(f"the Bluetooth radio does not scan: {problem}") from problem
        finally:
            if not began:
                self._hearing = None
        return scanner

    async def _begin(self, scanner: BleakScanner) -> None:
        """Cancelled by its deadline alone: what was asked of the radio then goes on, and is undone once it happened."""
        while True:
            starting = asyncio.create_task(scanner.start())
            try:
                return await asyncio.shield(starting)
            except BleakBluetoothNotAvailableError:
                raise
            except BleakError as problem:
                if "InProgress" not in str(problem):
                    raise
            except asyncio.CancelledError:
                self._late = asyncio.create_task(_undone(scanner, starting))
                raise
            await asyncio.sleep(AGAIN_MS / 1000)

    async def _stop(self, scanner: BleakScanner) -> None:
        stopping = asyncio.create_task(_stopped(scanner))
        await asyncio.wait({stopping}, timeout=STOP_MS / 1000)
        if not stopping.done():
            self._late = stopping

    def _hear(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        for heard in list(self._listeners):
            heard(device, advertisement)


async def _undone(scanner: BleakScanner, starting: asyncio.Task[None]) -> None:
    try:
        await starting
    except (BleakError, OSError, EOFError) as problem:
        _LOG.debug("a scanner that was given up did not begin: %r", problem)
    else:
        await _stopped(scanner)


async def _stopped(scanner: BleakScanner) -> None:
    try:
        await scanner.stop()
    except (BleakError, OSError, EOFError) as problem:
        _LOG.debug("a scanner did not stop: %r", problem)
