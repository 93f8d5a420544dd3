"""How a node takes part in Bluetooth Low Energy: with which radio, or in which virtual air."""

import re
from dataclasses import dataclass

from transports.errors import LocalTransportError

_ADDRESS = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){5}")
_UUID = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_ADAPTER = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class InvalidSettings(LocalTransportError):
    """The settings contradict themselves."""

    code = "ble_settings"


class InvalidAddress(LocalTransportError):
    """No address of a Bluetooth device."""

    code = "invalid_address"


@dataclass(frozen=True, slots=True)
class BleSettings:
    """Where a node looks around and dials, and where it is seen.

    adapter: the radio, as the system names it (`hci0`); None is the system's first. peripheral_adapter: a second radio
    that is seen and dialled instead, so that looking around never waits for it. air: the place of a virtual air
    instead of a radio, `unix:/run/air.sock` or `tcp:127.0.0.1:7700`; needs `v2xnode[virtual-ble]`. address: of our
    node there, a random static one (its first octet is C0 or above); None is a new one at each start.
    """

    adapter: str | None = None
    peripheral_adapter: str | None = None
    air: str | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        for adapter in (self.adapter, self.peripheral_adapter):
            if adapter is not None and not _ADAPTER.fullmatch(adapter):
                raise InvalidSettings(f"{adapter!r} is no name of an adapter, such as hci0")
        if self.air is None and self.address is not None:
            raise InvalidSettings("a radio brings its own address: address is for a virtual air")
        if self.air is not None and (self.adapter or self.peripheral_adapter):
            raise InvalidSettings("air and adapters exclude each other")
        if self.address is not None and not self._is_static(self.address):
            raise InvalidSettings(f"{self.address!r} is no random static address, such as F0:12:34:56:78:9A")

    @staticmethod
    def _is_static(address: str) -> bool:
        return _ADDRESS.fullmatch(address) is not None and int(address[:2], 16) >= 0xC0


def parse_address(text: str) -> str:
    """`F0:12:34:56:78:9A`, or what macOS gives instead, a UUID; also after `ble:` and in small letters.

    Raises InvalidAddress.
    """
    address = text.removeprefix("ble:").upper()
    if not _ADDRESS.fullmatch(address) and not _UUID.fullmatch(address):
        raise InvalidAddress(f"{text!r} is no address of a Bluetooth device, such as F0:12:34:56:78:9A")
    return address
