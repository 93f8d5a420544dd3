import sys
from pathlib import Path

import pytest

from v2xnode.devices.errors import DeviceUnknown
from v2xnode.devices.registry import ENTRY_POINT_GROUP, driver_names, find_driver
from v2xnode.devices.simulated import open_simulated


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution on the path that offers drivers: a good one, two bad ones, and one that would shadow ours."""
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    lines = ["good = builtins:dict", "gone = no_such_module:x", "value = string:digits", "simulated = builtins:dict"]
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def test_the_shipped_driver_is_found_and_can_not_be_replaced(offered: None) -> None:
    assert find_driver("simulated") is open_simulated
    assert set(driver_names()) >= {"simulated", "good"}


def test_a_stranger_is_found_by_name(offered: None) -> None:
    assert repr(find_driver("good")) == repr(dict)


@pytest.mark.parametrize("name", ["gone", "value", "never_heard_of"])
def test_what_is_not_there_or_does_not_load_is_named(offered: None, name: str) -> None:
    with pytest.raises(DeviceUnknown, match=name):
        find_driver(name)
