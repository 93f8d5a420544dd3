"""What can go wrong between the node and its own hardware. Vendor exceptions become these inside each driver.

Every one is a local fault: it is never the peer's, and a peer is never told more than that we can't go on.
"""

from v2xnode.errors import LocalError


class DeviceError(LocalError):
    """Base of every error of a device; the sentence is for the installer."""

    code = "device"


class DeviceRefused(DeviceError):
    """The device would not do what was asked, and has not: `code` says why (`no_permit`, `not_plugged`, `live`)."""

    code = "device_refused"


class DeviceUnreachable(DeviceError):
    """No answer from the device, in time or at all. What it does now is unknown; its permit runs out by itself."""

    code = "device_unreachable"


class DeviceUnknown(DeviceError):
    """No driver, charger, meter or battery has this name."""

    code = "device_unknown"


class DeviceDataInvalid(DeviceError):
    """A description or an answer is not what the interface promises; the text names the place."""

    code = "device_data_invalid"
