"""The options that bluetoothd puts beside a call to a characteristic."""

from dataclasses import dataclass
from typing import Any

from dbus_fast.unpack import unpack_variants

LEAST_MTU = 23
"""What holds where bluetoothd tells no MTU."""


@dataclass(frozen=True, slots=True)
class Options:
    """device: the central's object path, empty where it is not told; offset: where in the value a write begins."""

    device: str
    mtu: int
    offset: int

    @property
    def address(self) -> str:
        """The last word of the path, as in `/org/bluez/hci0/dev_F0_12_34_56_78_9A`, names it."""
        return self.device.rpartition("/dev_")[2].replace("_", ":") or self.device


def read_options(body: list[Any], at: int) -> Options:
    """Of a call with this body, where they are the argument `at`; whatever else is there instead counts for nothing."""
    told = variants_of(body[at]) if at < len(body) else {}
    device, mtu, offset = (told.get(name) for name in ("device", "mtu", "offset"))
    return Options(
        device=device if isinstance(device, str) else "",
        mtu=mtu if isinstance(mtu, int) and mtu >= LEAST_MTU else LEAST_MTU,
        offset=offset if isinstance(offset, int) else 0,
    )


def variants_of(argument: Any) -> dict[Any, Any]:
    """The values of a dictionary of variants; none of anything else."""
    found = unpack_variants(argument)
    return found if isinstance(found, dict) else {}
