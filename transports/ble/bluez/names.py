"""The names on D-Bus: BlueZ's, the bus's own, and the paths of what we export."""

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
GATT_MANAGER = "org.bluez.GattManager1"
GATT_SERVICE = "org.bluez.GattService1"
GATT_CHARACTERISTIC = "org.bluez.GattCharacteristic1"
ADVERTISING_MANAGER = "org.bluez.LEAdvertisingManager1"
ADVERTISEMENT = "org.bluez.LEAdvertisement1"

FAILED = "org.bluez.Error.Failed"
NOT_SUPPORTED = "org.bluez.Error.NotSupported"
NOT_AUTHORIZED = "org.bluez.Error.NotAuthorized"
INVALID_OFFSET = "org.bluez.Error.InvalidOffset"
NOT_PERMITTED = "org.bluez.Error.NotPermitted"

DAEMON = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
NOBODY = frozenset(
    f"org.freedesktop.DBus.Error.{error}"
    for error in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "Spawn.ServiceNotFound", "TimedOut")
) | {"org.freedesktop.systemd1.NoSuchUnit"}
"""What the bus answers for a daemon that does not run."""

APPLICATION_PATH = "/org/v2x/ble"
SERVICE_PATH = "/org/v2x/ble/service0"
WRITE_PATH = "/org/v2x/ble/service0/char0"
NOTIFY_PATH = "/org/v2x/ble/service0/char1"
ADVERTISEMENT_PATH = "/org/v2x/ble_advertisement"
