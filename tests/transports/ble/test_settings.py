import pytest

from transports.ble.settings import BleSettings, InvalidAddress, InvalidSettings, parse_address
from transports.errors import LocalTransportError

OURS = "F0:12:34:56:78:9A"


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"adapter": "hci0"},
        {"adapter": "hci0", "peripheral_adapter": "hci1"},
        {"air": "tcp:127.0.0.1:7700"},
        {"air": "unix:/run/air.sock", "address": OURS},
    ],
)
def test_what_makes_sense_is_taken(good: dict[str, str]) -> None:
    BleSettings(**good)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"adapter": "../hci0"}, "no name of an adapter"),
        ({"peripheral_adapter": ""}, "no name of an adapter"),
        ({"address": OURS}, "virtual air"),
        ({"air": "unix:/a", "adapter": "hci0"}, "exclude"),
        ({"air": "unix:/a", "address": "00:12:34:56:78:9A"}, "random static"),
        ({"air": "unix:/a", "address": "F0:12:34:56:78"}, "random static"),
    ],
)
def test_what_makes_none_is_told(bad: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        BleSettings(**bad)


@pytest.mark.parametrize(
    "text",
    [OURS, OURS.lower(), f"ble:{OURS}", "2A8F0591-1C6D-484B-8B2B-62EA6902A5B4"],
)
def test_addresses_are_taken_as_people_write_them(text: str) -> None:
    assert parse_address(text) == text.removeprefix("ble:").upper()


@pytest.mark.parametrize(
    "text", ["", "ble:", "coap:" + OURS, "F0:12", OURS + ":00", "F0-12-34-56-78-9A", "Ｆ" + OURS[1:]]
)
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(InvalidAddress) as problem:
        parse_address(text)
    assert isinstance(problem.value, LocalTransportError)
