"""The peripheral's role over BlueZ, for as long as it is wanted: whenever bluetoothd went, we come back with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from transports.ble.bluez.registration import Registration
from transports.ble.peripheral import Arrived
from transports.errors import LocalTransportError

RETRY_MS = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000)
"""Between attempts to come back; the last one again and again. bluetoothd restarts within a second or so."""

_LOG = logging.getLogger(__name__)


class BluezPeripheral:
    """A `Peripheral`. adapter: as BlueZ names it (`hci0`); None is the first that is on, chosen anew each time.

    went: called when bluetoothd, the adapter or the bus went. Links that were dialled over them are lost then too, of
    which bleak says nothing.
    """

    def __init__(self, adapter: str | None = None, *, went: Callable[[], None] | None = None) -> None:
        self._went = went
        self._name = adapter
        self._serving = False
        self._registration: Registration | None = None
        self._wanted: bytes | None = None
        self._turn = asyncio.Lock()

    @property
    def adapter(self) -> str | None:
        """The one in use; None while there is none."""
        return self._registration.adapter.name if self._registration is not None else None

    @property
    def address(self) -> str | None:
        """Of that adapter: what others dial, unless BlueZ's Privacy is on and they see changing ones."""
        return (self._registration.adapter.address or None) if self._registration is not None else None

    @asynccontextmanager
    async def serving(self, arrived: Arrived) -> AsyncIterator[None]:
        if self._serving:
            raise LocalTransportError("the Bluetooth peripheral is serving already")
        self._serving, self._wanted = True, None
        try:
            self._registration = await Registration.open(self._name, arrived)
            keeping = asyncio.create_task(self._keep(arrived))
            try:
                yield
            finally:
                keeping.cancel()
                try:
                    await asyncio.wait({keeping})
                finally:
                    await self._close()
        finally:
            self._serving = False

    async def advertise(self, data: bytes | None) -> None:
        if not self._serving:
            raise LocalTransportError("the Bluetooth peripheral is not serving")
        self._wanted = data
        async with self._turn:
            if self._registration is None:
                raise LocalTransportError("Bluetooth is away: what is to be shown is shown once it is back")
            await self._registration.show(data)

    async def _keep(self, arrived: Arrived) -> None:
        while True:
            if self._registration is not None:
                await self._registration.ended.wait()
            async with self._turn:
                await self._close()
            _LOG.warning("bluetoothd or the adapter went: Bluetooth's links are lost")
            if self._went is not None:
                self._went()
            await self._return(arrived)

    async def _return(self, arrived: Arrived) -> None:
        attempt = 0
        while not await self._returned(arrived, said=attempt > 0):
            await asyncio.sleep(RETRY_MS[min(attempt, len(RETRY_MS) - 1)] / 1000)
            attempt += 1

    async def _returned(self, arrived: Arrived, *, said: bool) -> bool:
        """One attempt. said: an earlier one told why it failed."""
        async with self._turn:
            try:
                registration = await Registration.open(self._name, arrived, wake=False)
            except LocalTransportError as problem:
                _LOG.log(logging.DEBUG if said else logging.WARNING, "not yet back: %s", problem)
                return False
            self._registration = registration
            try:
                await registration.show(self._wanted)
            except LocalTransportError as problem:
                _LOG.warning("back, but not to be seen: %s", problem)
        _LOG.warning("Bluetooth is back on %s", registration.adapter.name)
        return True

    async def _close(self) -> None:
        registration, self._registration = self._registration, None
        if registration is not None:
            await registration.aclose()
