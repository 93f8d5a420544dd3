"""The seam to a machine's radio, with both roles: bleak's for the central, ours for the peripheral."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from transports.ble.peripheral import Peripheral

Heard = Callable[[BLEDevice, AdvertisementData], None]


class Radio(Protocol):
    """One node's. Used only inside `opened`."""

    @property
    def peripheral(self) -> Peripheral: ...

    @property
    def address(self) -> str | None:
        """What others dial, where the system tells it."""
        ...

    def opened(self, went: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Raises LocalTransportError when there is no such radio, saying what to do. May be entered again.

        went: called when the radio goes meanwhile, or what drives it. All links are lost then, which bleak's clients
        are not told by every system.
        """
        ...

    def scanner(self, heard: Heard) -> BleakScanner:
        """One that looks for our service."""
        ...

    def client(self, device: BLEDevice, lost: Callable[[BleakClient], None]) -> BleakClient:
        """One that looks up our service only, where the system can."""
        ...

    def octets(self) -> tuple[int, int] | None:
        """Sent and received since it was made, where the radio counts them."""
        ...
