"""`v2xnode key ...`, as a person types it."""

from pathlib import Path

import pytest

from tests.support.data_directories import PAPER, head, make_directory, report, sign
from tests.v2xnode.cli.calling import called, printed
from v2xnode.identity import load_identity, load_public_facts
from v2xnode.revocation_key import RevocationKey


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_directory(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper"
    path.write_text(PAPER.text.lower() + "\n")
    return path


def test_show_says_who_signs(data: Path) -> None:
    told = printed(called("key", "show", "--data", data, "--json"))
    identity = load_identity(data)
    assert told == {
        "node": identity.node_id,
        "signing": identity.node_id,
        "revocation_key": True,
        "revoked": [],
        "key_entries": 1,
    }
    assert "has a revocation key" in called("key", "show", "--data", data).stdout


def test_rotate_changes_the_key_and_not_the_name(data: Path) -> None:
    before = load_identity(data)
    told = printed(called("key", "rotate", "--data", data, "--json"))
    assert told["node"] == before.node_id == load_identity(data).node_id
    assert told["signing"] == load_identity(data).signer.public.hex() != before.node_id


def test_a_running_node_keeps_its_key(data: Path) -> None:
    from ledger.store.directory import DirectoryLock

    with DirectoryLock(data):
        result = called("key", "rotate", "--data", data)
    assert result.exit_code != 0
    assert "directory_held" in result.stderr
    assert not load_identity(data).is_rotated


def test_a_revocation_key_is_printed_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_directory(data, revocation=b"")
    result = called("key", "revocation-key", "--data", data, "--json")
    key = RevocationKey.parse(printed(result)["revocation_key"])
    facts = load_public_facts(data)
    assert facts is not None
    assert facts.revocation == key.commitment
    assert key.text in result.stderr
    for path in data.iterdir():
        assert key.seed not in path.read_bytes()
        assert key.seed.hex().encode() not in path.read_bytes()
    assert called("key", "revocation-key", "--data", data).exit_code == 2


def test_init_prints_one_where_it_is_asked_for(tmp_path: Path) -> None:
    data = tmp_path / "new"
    words = ["init", "--data", data, "--name", "a", "--kind", "home", "--strangers", "no", "--json"]
    key = RevocationKey.parse(printed(called(*words, "--revocation-key"))["revocation_key"])
    sign(data)
    told = printed(called("key", "show", "--data", data, "--json"))
    assert told["revocation_key"]
    facts = load_public_facts(data)
    assert facts is not None
    assert facts.revocation == key.commitment
    words[2] = tmp_path / "without"
    assert "revocation_key" not in printed(called(*words))


def test_a_stolen_key_is_revoked_and_peers_learn_it(data: Path, paper: Path, tmp_path: Path) -> None:
    stolen = load_identity(data).signer.public
    file, peer = tmp_path / "revocation.json", tmp_path / "peer"
    make_directory(peer)
    told = printed(called("key", "revoke", "--data", data, "--key-file", paper, "--out", file, "--json"))
    assert RevocationKey.parse(told["revocation_key"]).commitment != PAPER.commitment
    assert printed(called("key", "show", "--data", data, "--json"))["revoked"] == [stolen.hex()]
    sign(data).check(load_identity(data).signer.public)
    assert printed(called("key", "learn", file, "--data", peer, "--json"))["new_entries"] == 2
    assert printed(called("key", "learn", file, "--data", peer, "--json"))["new_entries"] == 0
    assert report(data).ok
    assert report(peer).ok
    checked = called("ledger", "verify", file)
    assert checked.exit_code == 0
    assert stolen.hex()[:12] in checked.stdout


def test_give_up_leaves_no_key(data: Path, paper: Path, tmp_path: Path) -> None:
    file = tmp_path / "revocation.json"
    told = printed(called("key", "revoke", "--data", data, "--key-file", paper, "--out", file, "--give-up", "--json"))
    assert told["revocation_key"] is None
    assert printed(called("key", "show", "--data", data, "--json"))["signing"] is None


def test_a_misprint_or_another_paper_changes_nothing(data: Path, tmp_path: Path) -> None:
    before, typed, out = head(data), tmp_path / "typed", tmp_path / "out"
    for text in ("ABCD", PAPER.text.replace(PAPER.text[0], "Z", 1), RevocationKey(bytes(32)).text):
        typed.write_text(text)
        assert called("key", "revoke", "--data", data, "--key-file", typed, "--out", out).exit_code == 2
        assert not out.exists()
    assert head(data) == before


def test_a_file_that_is_no_revocation_is_not_learnt(data: Path, tmp_path: Path) -> None:
    file, before = tmp_path / "file", head(data)
    for text in ("", "{}", '{"form": "v2x-revocation/1", "keys": []}', '{"form": "v2x-receipt/1"}'):
        file.write_text(text)
        assert called("key", "learn", file, "--data", data).exit_code in (1, 2)
    assert called("key", "learn", tmp_path / "missing", "--data", data).exit_code == 2
    assert head(data) == before
