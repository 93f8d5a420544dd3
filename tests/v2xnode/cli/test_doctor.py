"""What stands in a node's way: each finding, and what to do about it."""

import sys
from pathlib import Path

import pytest

from tests.v2xnode.cli.calling import called, printed
from v2xnode.config import CONFIG_FILE
from v2xnode.identity import KEY_FILE


def findings(data: Path) -> tuple[int, dict[str, tuple[bool, str]]]:
    """`doctor`'s exit code, and what it says of each subject."""
    result = called("doctor", "--data", data, "--json")
    found = printed(result)["findings"]
    return result.exit_code, {
        each["subject"]: (each["ok"], f"{each['sentence']} {each['remedy'] or ''}") for each in found
    }


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's network and radio are like is not asked here, unless a test does."""
    monkeypatch.setenv("V2XNODE_COAP__ENABLED", "false")
    monkeypatch.setenv("V2XNODE_BLE__ENABLED", "true")
    monkeypatch.setenv("V2XNODE_BLE__AIR", "unix:/nowhere/air.sock")


def made(data: Path, kind: str = "vehicle") -> None:
    words = ("--name", "Car", "--kind", kind, "--strangers", "yes")
    assert called("init", "--data", data, *words).exit_code == 0


@pytest.mark.parametrize("exists", [True, False])
def test_it_says_what_an_empty_directory_needs(exists: bool, tmp_path: Path) -> None:
    data = tmp_path / "node"
    if exists:
        data.mkdir()
    code, told = findings(data)
    assert (code, told["directory"][0]) == (1, exists)
    for subject in ("configuration", "key"):
        ok, sentence = told[subject]
        assert not ok
        assert f"v2xnode init --data {data}" in sentence
    assert data.exists() == exists


def test_it_names_what_is_left_to_do_on_a_new_node(tmp_path: Path) -> None:
    made(tmp_path)
    code, told = findings(tmp_path)
    assert code == 1
    assert told["configuration"][0]
    assert [subject for subject, (ok, _) in told.items() if not ok] == ["devices"]
    people = called("doctor", "--data", tmp_path)
    assert people.exit_code == 1
    assert "BAD devices: " in people.stdout


def test_it_sees_a_key_that_others_may_read(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    ok, sentence = findings(tmp_path)[1]["key"]
    assert not ok
    assert "chmod 600" in sentence


def test_it_sees_that_the_devices_do_not_answer(tmp_path: Path) -> None:
    called("init", "--data", tmp_path, "--plant", tmp_path / "no_plant", "--place", "cabin")
    code, told = findings(tmp_path)
    ok, sentence = told["AC_OUTLET as client"]
    assert (code, ok) == (1, False)
    assert "[devices]" in sentence


def test_bearers_that_are_off_are_told_and_that_none_is_on_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made(tmp_path)
    assert findings(tmp_path)[1]["coap"] == (True, "it is switched off ")
    assert "bearers" not in findings(tmp_path)[1]
    monkeypatch.setenv("V2XNODE_BLE__ENABLED", "false")
    ok, sentence = findings(tmp_path)[1]["bearers"]
    assert not ok
    assert "[ble]" in sentence


def test_it_looks_at_the_radio_of_a_node_whose_key_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no_bus")
    monkeypatch.delenv("V2XNODE_BLE__AIR")
    monkeypatch.delenv("V2XNODE_BLE__ENABLED")
    (tmp_path / CONFIG_FILE).write_text("[ble]\nenabled = true\n")
    ok, sentence = findings(tmp_path)[1]["ble dbus"]
    assert not ok
    assert "D-Bus" in sentence


def test_it_says_what_libp2p_needs_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made(tmp_path)
    monkeypatch.setenv("V2XNODE_LIBP2P__ENABLED", "true")
    monkeypatch.setitem(sys.modules, "transports.libp2p.library", None)  # it may have been imported before
    ok, sentence = findings(tmp_path)[1]["libp2p library"]
    assert not ok
    assert "libgmp-dev" in sentence


def test_a_fixed_site_is_told_the_address_that_others_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("base58", reason="v2xnode[libp2p] is not installed")
    made(tmp_path)
    for name, value in (("ENABLED", "true"), ("FIXED", "true"), ("HOST", "192.0.2.7")):
        monkeypatch.setenv(f"V2XNODE_LIBP2P__{name}", value)
    ok, sentence = findings(tmp_path)[1]["libp2p address"]
    assert (ok, "set port" in sentence) == (False, True)
    monkeypatch.setenv("V2XNODE_LIBP2P__PORT", "4001")
    for host, where in (("192.0.2.7", "/ip4/192.0.2.7"), ("2001:db8::7", "/ip6/2001:db8::7")):
        monkeypatch.setenv("V2XNODE_LIBP2P__HOST", host)
        ok, sentence = findings(tmp_path)[1]["libp2p address"]
        assert ok
        assert f"{where}/tcp/4001/p2p/12D3KooW" in sentence


@pytest.mark.parametrize(
    ("bearer", "settings"),
    [
        ("ble", {"BLE__ADAPTER": "hci0"}),
        ("libp2p", {"LIBP2P__ENABLED": "true", "LIBP2P__BOOTSTRAP": '["somewhere"]'}),
        ("coap", {"COAP__ENABLED": "true", "COAP__HOST": "nowhere at all"}),
    ],
)
def test_settings_that_contradict_each_other_are_one_finding_among_the_others(
    bearer: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(f"V2XNODE_{name}", value)
    _, told = findings(tmp_path)
    ok, sentence = told[f"{bearer} settings"]
    assert not ok
    assert f"[{bearer}]" in sentence
    assert {"clock", "disk", "devices"} <= told.keys()
    result = called("config", "check", "--data", tmp_path, "--json")
    assert result.exit_code == 1
    assert printed(result)["error"]["sentence"] in sentence
