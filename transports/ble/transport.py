"""Bluetooth Low Energy as a bearer, in both roles at once."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from transports.ble.advertisement import COMPANY_ID
from transports.ble.announcer import Announcer
from transports.ble.central import Centre
from transports.ble.ear import Ear
from transports.ble.gatt import SERVICE_UUID
from transports.ble.pipe import FragmentPipe, Octets
from transports.ble.radio import Radio
from transports.ble.reception import Reception
from transports.ble.settings import BleSettings, parse_address
from transports.duplex import Trunks
from transports.errors import LinkLost, LocalTransportError, Malformed
from transports.identifier import unpack_announcement
from transports.interface import MAX_SIGHTINGS, Announcement, Handler, Link, Sighting

BEARER = "ble"

_LOG = logging.getLogger(__name__)


class BleTransport:
    """A `Transport` over BLE. It may serve again after it stopped; at most once at a time.

    Looking around and dialling need `serving` too: it opens the radio.
    """

    def __init__(self, settings: BleSettings | None = None, radio: Radio | None = None) -> None:
        """radio: in place of the one that the settings name."""
        self._radio = radio or _radio(settings or BleSettings())
        self._octets = Octets()
        self._announced: Announcement | None = None
        self._running: _Running | None = None
        self.strange = 0
        """Advertisements of our service that are none of ours."""

    @property
    def name(self) -> str:
        return BEARER

    @property
    def address(self) -> str | None:
        """Of our radio, where the system tells it and we serve."""
        return self._radio.address

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        if self._running is not None:
            raise LocalTransportError("the BLE bearer is serving already")
        self._running = running = _Running(self._radio, handler, self._octets)
        running.announcer.want(self._announced)
        try:
            async with self._radio.opened(running.went), running.up():
                yield
        finally:
            self._running = None

    def announce(self, announcement: Announcement | None) -> None:
        self._announced = announcement
        if self._running is not None:
            self._running.announcer.want(announcement)

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        running = self._serving()
        heard: asyncio.Queue[Sighting] = asyncio.Queue(MAX_SIGHTINGS)
        known: set[tuple[str, bytes]] = set()

        def hear(device: BLEDevice, advertisement: AdvertisementData) -> None:
            sighting = self._sighting(device, advertisement)
            if sighting is None or running.announcer.is_ours(sighting.announcement):
                return
            key = sighting.address, sighting.announcement.identifier
            if key not in known and len(known) < MAX_SIGHTINGS:
                known.add(key)
                heard.put_nowait(sighting)

        with contextlib.suppress(TimeoutError):
            async with running.ear.listening(hear):
                until_s = asyncio.get_running_loop().time() + window_ms / 1000
                while True:
                    async with asyncio.timeout_at(until_s):
                        sighting = await heard.get()
                    yield sighting

    async def dial(self, address: str) -> Link:
        """Raises InvalidAddress, LinkLost, and LocalTransportError when not serving or without a radio."""
        running = self._serving()
        return await running.trunks.dial(parse_address(address))

    def counters(self) -> dict[str, int]:
        sent, received = self._radio.octets() or (self._octets.sent, self._octets.received)
        return {"bytes_sent": sent, "bytes_received": received}

    def _serving(self) -> "_Running":
        if self._running is None:
            raise LocalTransportError("the BLE bearer is not serving: dial and look around inside its context")
        return self._running

    def _sighting(self, device: BLEDevice, advertisement: AdvertisementData) -> Sighting | None:
        """None for others that use our UUID, or the number that many use."""
        data = advertisement.manufacturer_data.get(COMPANY_ID)
        if SERVICE_UUID not in advertisement.service_uuids:
            return None
        try:
            announcement = unpack_announcement(data or b"")
        except Malformed as problem:
            self.strange += 1
            if self.strange == 1:
                _LOG.warning("%s uses our service's UUID and is none of ours: %s", device.address, problem)
            return None
        heard_at_ms = int(asyncio.get_running_loop().time() * 1000)
        return Sighting(BEARER, device.address.upper(), announcement, heard_at_ms, advertisement.rssi)


class _Running:
    """What lives as long as `serving`."""

    def __init__(self, radio: Radio, handler: Handler, octets: Octets) -> None:
        self._radio = radio
        self.ear = Ear(radio.scanner)
        self.reception = Reception(handler, octets)
        self._centre = Centre(radio, self.ear, octets, lambda address: address in self.reception.sources)
        self.trunks = Trunks(BEARER, self._connect)
        self.announcer = Announcer(radio.peripheral, lambda: self._centre.linked or bool(self.reception.sources))
        self._centre.changed = self.reception.changed = self.announcer.links_changed

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Inside the open radio."""
        async with self._radio.peripheral.serving(self.reception.arrived):
            showing = asyncio.create_task(self.announcer.run())
            try:
                yield
            finally:
                showing.cancel()
                await asyncio.gather(self.trunks.aclose(), self.reception.aclose())
                await self.ear.aclose()
                with contextlib.suppress(asyncio.CancelledError):
                    await showing

    def went(self) -> None:
        """The radio is gone."""
        self._centre.lose("the Bluetooth radio, or what drives it, is gone")

    async def _connect(self, address: str) -> FragmentPipe:
        if address == self._radio.address:
            raise LinkLost(f"{address} is our own address")
        return await self._centre.connect(address)


def _radio(settings: BleSettings) -> Radio:
    """Imported only when it is wanted: the virtual one is an extra, and the real one needs its system."""
    if settings.air is None:
        from transports.ble.system import SystemRadio

        return SystemRadio(settings.adapter, settings.peripheral_adapter)
    try:
        from transports.ble.virtual.radio import VirtualRadio
    except ImportError as problem:
        raise LocalTransportError(f"a virtual air needs v2xnode[virtual-ble] ({problem})") from problem

    return VirtualRadio(settings.air, settings.address)
