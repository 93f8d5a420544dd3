"""bleak's scanner over a virtual radio."""

import asyncio
from typing import Any

from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_str
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Device

from transports.ble.virtual.operation import operation

_LISTS = {
    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}
"""Which fields list services, and how long each of their UUIDs is."""

COMMAND_MS = 3_000


class VirtualScanner(BaseBleakScanner):
    """radio: bumble's device, open. Tells of a device only once in a scan until what it shows changes, as radios do."""

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        *,
        radio: Device,
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._radio = radio
        self._shown: dict[str, bytes] = {}

    async def start(self) -> None:
        self.seen_devices = {}
        self._shown.clear()
        self._radio.on("advertisement", self._heard)
        try:
            async with asyncio.timeout(COMMAND_MS / 1000):
                await operation(self._radio.start_scanning(active=self._active))
        except (BaseBumbleError, TimeoutError) as problem:
            self._radio.remove_listener("advertisement", self._heard)
            raise BleakError(f"the virtual radio does not scan: {problem}") from problem

    async def stop(self) -> None:
        if self._heard in self._radio.listeners("advertisement"):
            self._radio.remove_listener("advertisement", self._heard)
        try:
            async with asyncio.timeout(COMMAND_MS / 1000):
                await operation(self._radio.stop_scanning())
        except (BaseBumbleError, TimeoutError) as problem:
            raise BleakError(f"the virtual radio does not stop: {problem}") from problem

    def _heard(self, advertisement: Advertisement) -> None:
        data = _read(advertisement)
        address, shown = advertisement.address.to_string(False), bytes(advertisement.data)
        if self.is_allowed_uuid(data.service_uuids) and self._shown.get(address) != shown:
            self._shown[address] = shown
            device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
            self.call_detection_callbacks(device, data)


def _read(advertisement: Advertisement) -> AdvertisementData:
    name: str | None = None
    manufacturer: dict[int, bytes] = {}
    uuids: list[str] = []
    for kind, value in advertisement.data.ad_structures:
        if kind == AdvertisingData.COMPLETE_LOCAL_NAME:
            name = value.decode(errors="replace")
        elif kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA:
            manufacturer[int.from_bytes(value[:2], "little")] = value[2:]
        elif kind in _LISTS:
            size = _LISTS[AdvertisingData.Type(kind)]
            whole = len(value) - len(value) % size
            uuids += [text(UUID.from_bytes(value[at : at + size])) for at in range(0, whole, size)]
    return AdvertisementData(name, manufacturer, {}, uuids, None, advertisement.rssi, (advertisement,))


def text(uuid: UUID) -> str:
    """As bleak writes UUIDs."""
    return normalize_uuid_str(uuid.to_hex_str("-"))
