"""A mistake in the configuration is told with its line; variables win over the file."""

from pathlib import Path

import pytest

from market.terms import Connector, Profile
from v2xnode.config import CONFIG_FILE, DATABASE_FILE, MAX_CONFIG_BYTES, load_config, parse_config
from v2xnode.errors import ConfigError


def test_an_empty_file_is_the_careful_default() -> None:
    config = parse_config("")
    assert config.node.visibility == "known"
    assert config.owner.strangers == "ask"
    assert config.owner.provides == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[node]\nname = "x"\n[owner]\nreserve_permille = 4000\n', "config.toml:4: owner.reserve_permille"),
        ("[owner]\nspeling = 1\n", "config.toml:2: owner.speling"),
        ("[clock]\nspeed = 13\n", "config.toml:2: clock.speed"),
        ("[nodes]\n", "config.toml:1: nodes"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as problem:
        parse_config(text)
    assert place in problem.value.sentence


@pytest.mark.parametrize("text", ["[node", "a = [", "x" * (MAX_CONFIG_BYTES + 1)])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text)


def test_the_electrical_record_is_built_from_names() -> None:
    config = parse_config('[electrical]\nconnectors = ["CCS2"]\nprofiles = ["dc_bpt"]\nvoltage_max_mv = 900000\n')
    record = config.electrical.record()
    assert record.connectors == (Connector.CCS2,)
    assert record.profiles == (Profile.DC_BPT,)


def test_an_unknown_plug_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="CHADEMO"):
        parse_config('[electrical]\nconnectors = ["CSS2"]\nprofiles = ["DC_BPT"]\n')


def test_a_variable_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / CONFIG_FILE).write_text("[owner]\nreserve_permille = 400\n")
    assert load_config(tmp_path).owner.reserve_permille == 400
    monkeypatch.setenv("V2XNODE_OWNER__RESERVE_PERMILLE", "500")
    assert load_config(tmp_path).owner.reserve_permille == 500


def test_a_ledger_is_a_file_in_the_directory_unless_a_server_is_named(tmp_path: Path) -> None:
    assert parse_config("").ledger_at(tmp_path) == tmp_path / DATABASE_FILE
    url = "postgresql://node@/ledger?host=/run/postgresql"
    assert parse_config(f'[ledger]\nurl = "{url}"\n').ledger_at(tmp_path) == url


def test_a_password_is_not_told() -> None:
    config = parse_config('[ledger]\nurl = "postgresql://node:hunter2@/ledger"\n')
    assert "hunter2" not in repr(config) + str(config)
    with pytest.raises(ConfigError, match=r"ledger\.url") as problem:
        parse_config('[ledger]\nurl = "mysql://node:hunter2@/ledger"\n')
    assert "config.toml:2" in problem.value.sentence
    assert "hunter2" not in problem.value.sentence


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="v2xnode init"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    ["connectors = []", "voltage_min_mv = 500000\nvoltage_max_mv = 400000", "connectors = " + str(["CCS2"] * 9)],
)
def test_a_record_that_peers_would_refuse_is_a_mistake_of_the_file(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: \[electrical\]"):
        parse_config(f'[electrical]\nprofiles = ["DC_BPT"]\n{wrong}\n')
