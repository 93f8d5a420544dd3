"""An installer's first minutes: a directory is made once, mistakes change nothing, and what is wrong is said."""

import io
import json
import stat
import sys
from pathlib import Path

import pytest

from tests.v2xnode.cli.calling import called, printed
from v2xnode.cli import app
from v2xnode.cli.demo.world import CAST
from v2xnode.cli.setup import KINDS, STRANGERS
from v2xnode.config import CONFIG_FILE, load_config
from v2xnode.identity import KEY_FILE, load_identity


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def made(data: Path, kind: str = "vehicle", strangers: str = "ask") -> dict[str, str]:
    """What `init` says of the node that it made."""
    words = ("init", "--data", data, "--name", "Ours", "--kind", kind, "--strangers", strangers, "--json")
    result = called(*words)
    assert result.exit_code == 0
    return printed(result)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strangers", STRANGERS)
def test_each_kind_gets_a_configuration_that_is_fine(kind: str, strangers: str, tmp_path: Path) -> None:
    data = tmp_path / "node"
    told = made(data, kind, strangers)
    result = called("config", "check", "--data", data, "--json")
    assert (result.exit_code, printed(result)) == (0, {"ok": True})
    config = load_config(data)
    assert (config.node.name, config.owner.strangers) == ("Ours", strangers)
    assert bool(config.services) == (kind == "vehicle")
    assert config.electrical.record().profiles
    assert told == {"node": load_identity(data).node_id, "data": str(data)}


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    made(tmp_path / "node")
    assert stat.S_IMODE((tmp_path / "node" / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "node").stat().st_mode) & 0o077 == 0


def test_two_nodes_have_two_keys(tmp_path: Path) -> None:
    assert made(tmp_path / "one")["node"] != made(tmp_path / "other")["node"]


def test_a_second_time_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    made(tmp_path)
    before = contents(tmp_path)
    words = ("init", "--data", tmp_path, "--name", "Other", "--kind", "home", "--strangers", "yes", "--json")
    result = called(*words)
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "config_exists")
    assert contents(tmp_path) == before


def test_a_key_without_a_configuration_is_kept(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / CONFIG_FILE).unlink()
    before = contents(tmp_path)
    words = ("init", "--data", tmp_path, "--name", "Other", "--kind", "home", "--strangers", "yes", "--json")
    result = called(*words)
    assert (result.exit_code, printed(result)["error"]["code"]) == (1, "key_exists")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("place", ["", "moon"])
def test_an_unknown_place_of_the_simulated_world_is_told_with_the_known_ones(place: str, tmp_path: Path) -> None:
    result = called("init", "--data", tmp_path / "node", "--plant", tmp_path / "plant", "--place", place)
    assert result.exit_code == 2
    assert all(cast.place in result.stderr for cast in CAST)
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize("place", [cast.place for cast in CAST])
def test_each_place_of_the_simulated_world_can_be_made(place: str, tmp_path: Path) -> None:
    assert called("init", "--data", tmp_path, "--plant", tmp_path / "plant", "--place", place).exit_code == 0
    assert called("config", "check", "--data", tmp_path).exit_code == 0
    assert {path.options["socket"] for path in load_config(tmp_path).devices.paths} == {str(tmp_path / "plant")}


@pytest.mark.parametrize("name", ["x" * 41, "two\nlines"])
def test_a_name_that_can_not_be_is_refused_before_anything_is_made(name: str, tmp_path: Path) -> None:
    words = ("--name", name, "--kind", "home", "--strangers", "yes", "--json")
    result = called("init", "--data", tmp_path / "node", *words)
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "config")
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize("below", ["file", "file/node"])
def test_a_file_in_the_directorys_place_is_told(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    words = ("--name", "Ours", "--kind", "home", "--strangers", "yes", "--json")
    result = called("init", "--data", tmp_path / below, *words)
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "no_directory")
    assert contents(tmp_path) == {"file": b"mine"}


def answered(
    answers: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    """`init --json` with answers typed in: exit code, stdout, stderr. (The test runner would echo them on stdout.)"""
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    with pytest.raises(SystemExit) as leaving:
        app(["init", "--data", str(data), "--json"])
    return leaving.value.code, *capsys.readouterr()


def test_questions_leave_stdout_to_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = answered("My car\nVehicle\nask\n", tmp_path, monkeypatch, capsys)
    assert (code, json.loads(out)["node"]) == (0, load_identity(tmp_path).node_id)
    assert "Name of this node" in err
    assert "vehicle, home, load" in err
    assert load_config(tmp_path).node.name == "My car"


@pytest.mark.parametrize(
    ("answers", "error"), [("My boat\nboat\n", "malformed"), ("My car\n", "unanswered"), ("", "unanswered")]
)
def test_an_answer_that_is_none_changes_nothing(
    answers: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answered(answers, tmp_path / "node", monkeypatch, capsys)
    assert (code, json.loads(out)["error"]["code"]) == (2, error)
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[owner]\nreserve_permille = 4000\n", f"{CONFIG_FILE}:2: owner.reserve_permille"),
        ("[node\n", "is no TOML"),
        ('[electrical]\nprofiles = ["DC_BTP"]\n', "DC_BTP"),
    ],
)
def test_a_broken_configuration_is_explained(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(text)
    result = called("config", "check", "--data", tmp_path, "--json")
    assert result.exit_code == 2
    assert told in printed(result)["error"]["sentence"]
    assert (tmp_path / CONFIG_FILE).read_text() == text


def findings(data: Path) -> tuple[int, dict[str, tuple[bool, str]]]:
    """`doctor`'s exit code, and what it says of each subject."""
    result = called("doctor", "--data", data, "--json")
    found = printed(result)["findings"]
    return result.exit_code, {
        each["subject"]: (each["ok"], f"{each['sentence']} {each['remedy'] or ''}") for each in found
    }


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's network is like is not asked here."""
    monkeypatch.setenv("V2XNODE_COAP__ENABLED", "false")


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("exists", [True, False])
def test_the_doctor_says_what_an_empty_directory_needs(exists: bool, tmp_path: Path) -> None:
    data = tmp_path / "node"
    if exists:
        data.mkdir()
    code, told = findings(data)
    assert (code, told["directory"][0]) == (1, exists)
    ok, sentence = told["configuration"]
    assert not ok
    assert f"v2xnode init --data {data}" in sentence
    assert data.exists() == exists


@pytest.mark.usefixtures("_no_network")
def test_the_doctor_names_what_is_left_to_do_on_a_new_node(tmp_path: Path) -> None:
    made(tmp_path)
    code, told = findings(tmp_path)
    assert code == 1
    assert told["configuration"][0]
    assert [subject for subject, (ok, _) in told.items() if not ok] == ["devices"]
    people = called("doctor", "--data", tmp_path)
    assert people.exit_code == 1
    assert "BAD devices: " in people.stdout


@pytest.mark.usefixtures("_no_network")
def test_the_doctor_sees_a_key_that_others_may_read(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    ok, sentence = findings(tmp_path)[1]["configuration"]
    assert not ok
    assert "chmod 600" in sentence


@pytest.mark.usefixtures("_no_network")
def test_the_doctor_sees_that_the_devices_do_not_answer(tmp_path: Path) -> None:
    called("init", "--data", tmp_path, "--plant", tmp_path / "no_plant", "--place", "cabin")
    code, told = findings(tmp_path)
    ok, sentence = told["AC_OUTLET as client"]
    assert (code, ok) == (1, False)
    assert "[devices]" in sentence
