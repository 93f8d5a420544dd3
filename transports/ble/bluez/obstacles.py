"""What can stand between us and a working radio, in sentences for the person who has to remove it."""

from transports.errors import LocalTransportError

ADD_ADAPTER = "plug one in or switch it on in the firmware, and look for its driver's messages in `dmesg`"


class Obstacle(LocalTransportError):
    """code: what it is, for machines; sentence: for people; remedy: what they can do about it."""

    def __init__(self, code: str, sentence: str, remedy: str) -> None:
        super().__init__(f"{sentence}: {remedy}")
        self.code = code
        self.sentence = sentence
        self.remedy = remedy


def no_dbus(why: str) -> Obstacle:
    return Obstacle(
        "dbus",
        f"the system's D-Bus can't be reached ({why})",
        "install and start dbus; in a container, share the host's /run/dbus/system_bus_socket",
    )


def no_bluetoothd() -> Obstacle:
    return Obstacle(
        "bluetoothd",
        "BlueZ's daemon bluetoothd does not run",
        "install bluez and run `systemctl enable --now bluetooth`",
    )


def no_adapter() -> Obstacle:
    return Obstacle(
        "adapter",
        "BlueZ knows no Bluetooth adapter",
        ADD_ADAPTER,
    )


def unknown_adapter(name: str, known: list[str]) -> Obstacle:
    return Obstacle(
        "adapter",
        f"there is no Bluetooth adapter {name}",
        f"name one of {', '.join(known)} in the settings, or none for the first that is on",
    )


def radio_off(name: str, block: str | None) -> Obstacle:
    """block: `soft` or `hard`, where rfkill says that the radio is blocked."""
    if block == "hard":
        return Obstacle("radio", f"the radio of {name} is blocked by a switch of this machine", "turn the switch")
    if block == "soft":
        return Obstacle("radio", f"the radio of {name} is blocked by rfkill", "run `rfkill unblock bluetooth`")
    return Obstacle("radio", f"the adapter {name} is switched off", f"run `bluetoothctl power on` ({name} selected)")


def no_permission(what: str) -> Obstacle:
    return Obstacle(
        "permission",
        f"D-Bus does not let this user {what}",
        "add the user to the group `bluetooth` and log in anew, or allow it in /etc/dbus-1/system.d",
    )


def bluez_too_old(version: str, needed: str) -> Obstacle:
    return Obstacle("bluez", f"BlueZ {version} is too old to be connected to", f"update BlueZ to {needed} or newer")


def no_peripheral_role(name: str) -> Obstacle:
    return Obstacle(
        "role",
        f"the adapter {name} can't be seen and connected to (it has no peripheral role)",
        "use another adapter",
    )


def no_room(name: str) -> Obstacle:
    return Obstacle(
        "advertisements",
        f"other programs show as many advertisements as the adapter {name} can",
        "stop one of them, or use another adapter",
    )


def refused(member: str, error: str, sentence: str) -> Obstacle:
    return Obstacle(
        "refused",
        f"BlueZ refused {member} ({error}{': ' + sentence if sentence else ''})",
        "look into `journalctl -u bluetooth`; restarting bluetoothd often helps",
    )
