"""What is read from BlueZ's objects, without BlueZ."""

from pathlib import Path
from typing import Any

import pytest

from transports.ble.bluez.adapters import adapters, bluez_version, choose, pick, radio_block
from transports.ble.bluez.obstacles import Obstacle, radio_off


def shown(**properties: Any) -> dict[str, dict[str, Any]]:
    return {
        "org.bluez.Adapter1": {"Powered": True, "Roles": ["central", "peripheral"], **properties},
        "org.bluez.GattManager1": {},
        "org.bluez.LEAdvertisingManager1": {},
    }


def test_the_first_that_is_on_is_taken() -> None:
    objects = {"/org/bluez/hci10": shown(), "/org/bluez/hci2": shown(), "/org/bluez/hci1": shown(Powered=False)}
    assert choose(objects, None).name == "hci2"
    assert choose(objects, "hci10").path == "/org/bluez/hci10"
    with pytest.raises(Obstacle, match="hci1 is switched off"):
        choose(objects, "hci1")


def test_one_that_can_be_seen_goes_before_one_that_can_not() -> None:
    objects = {"/org/bluez/hci0": shown(Roles=["central"]), "/org/bluez/hci1": shown()}
    assert choose(objects, None).name == "hci1"
    with pytest.raises(Obstacle, match="no peripheral role"):
        choose(objects, "hci0")


def test_an_adapter_without_the_managers_has_no_peripheral_role() -> None:
    """So BlueZ shows one that knows classic Bluetooth only; older versions tell no roles."""
    classic = {"/org/bluez/hci0": {"org.bluez.Adapter1": {"Powered": True}}}
    assert not pick(classic, None).peripheral
    older = shown()
    del older["org.bluez.Adapter1"]["Roles"]
    assert pick({"/org/bluez/hci0": older}, None).peripheral


def test_nothing_but_adapters_counts() -> None:
    assert adapters({"/org/bluez": {"org.bluez.AgentManager1": {}}, "/org/bluez/hci0/dev_1": {}}) == []


@pytest.mark.parametrize(
    ("modalias", "version"),
    [
        ("usb:v1D6Bp0246d0542", (5, 66)),
        ("usb:v1d6bp0246d0557", (5, 87)),
        ("bluetooth:v000Dp0000d0110", None),
        ("usb:v1D6Bp0246d05", None),
        (None, None),
        (5, None),
    ],
)
def test_the_version_is_in_the_device_id(modalias: object, version: tuple[int, int] | None) -> None:
    assert bluez_version(modalias) == version


@pytest.mark.parametrize(
    ("hard", "soft", "block"), [("0", "0", None), ("0", "1", "soft"), ("1", "0", "hard"), ("1", "1", "hard")]
)
def test_what_rfkill_says(hard: str, soft: str, block: str | None, tmp_path: Path) -> None:
    for number, name in enumerate(("phy0", "hci0")):
        entry = tmp_path / f"rfkill{number}"
        entry.mkdir()
        (entry / "name").write_text(f"{name}\n")
        (entry / "hard").write_text(f"{hard if name == 'hci0' else '1'}\n")
        (entry / "soft").write_text(f"{soft if name == 'hci0' else '1'}\n")
    (tmp_path / "rfkill2").mkdir()
    assert radio_block("hci0", tmp_path) == block
    assert radio_block("hci1", tmp_path) is None
    assert radio_block("hci0", tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("block", "remedy"), [("hard", "turn the switch"), ("soft", "rfkill unblock"), (None, "power on")]
)
def test_what_to_do_about_a_radio_that_is_off(block: str | None, remedy: str) -> None:
    obstacle = radio_off("hci0", block)
    assert "hci0" in obstacle.sentence
    assert remedy in obstacle.remedy
    assert str(obstacle) == f"{obstacle.sentence}: {obstacle.remedy}"
