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
