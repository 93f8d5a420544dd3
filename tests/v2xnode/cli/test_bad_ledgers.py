"""A ledger that can't be used: a sentence, exit 5 where it is damaged and 2 otherwise, and nothing is changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger import old
from tests.ledger.hands import asked
from tests.v2xnode.cli.calling import called, printed
from v2xnode.config import CONFIG_FILE, DATABASE_FILE

SECRET = "hunter2"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A node's directory, without a ledger yet."""
    made = tmp_path / "node"
    assert called("init", "--data", made, "--name", "A", "--kind", "load", "--strangers", "no").exit_code == 0
    return made


def no_database(path: Path) -> None:
    path.write_bytes(b"whatever was here, it is no database any more " * 200)


def half(path: Path) -> None:
    path.write_bytes(old.FILE.read_bytes()[:40_000])


def directory(path: Path) -> None:
    path.mkdir()


def someone_elses(path: Path) -> None:
    path.write_bytes(old.FILE.read_bytes())
    old.open_old(path).close()


def newer(path: Path) -> None:
    someone_elses(path)
    asked(path, "UPDATE meta SET value = ? WHERE name = 'schema'", b"\x17")


BAD: list[tuple[Callable[[Path], None], int, str]] = [
    (no_database, 5, "damaged"),
    (half, 5, "damaged"),
    (directory, 2, "store"),
    (someone_elses, 2, "wrong_owner"),
    (newer, 2, "unknown_schema"),
]


@pytest.mark.parametrize(("make", "exit_code", "code"), BAD)
def test_a_node_does_not_start_on_it(data: Path, make: Callable[[Path], None], exit_code: int, code: str) -> None:
    path = data / DATABASE_FILE
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    result = called("run", "--data", data, "--json")
    assert (result.exit_code, result.stdout.count('"error"')) == (exit_code, 1)
    assert f"[{code}]" in result.stderr
    assert "Traceback" not in result.stderr
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("command", ["show", "export", "verify"])
@pytest.mark.parametrize(("make", "exit_code", "code"), [each for each in BAD if each[2] != "wrong_owner"])
def test_who_looks_is_told(
    tmp_path: Path, command: str, make: Callable[[Path], None], exit_code: int, code: str
) -> None:
    path = tmp_path / DATABASE_FILE
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    result = called("ledger", command, "--data", tmp_path)
    if command == "verify" and make is not directory:  # which names the first bad row of anything
        assert (result.exit_code, result.stderr) == (5, "")
    else:
        assert (result.exit_code, result.stdout) == (exit_code, "")
        assert f"[{code}]" in result.stderr
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_an_older_ledger_waits_for_its_node(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_FILE
    path.write_bytes(old.FILE.read_bytes())
    result = called("ledger", "show", "--data", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "start its node once" in result.stderr
    assert "migrated when its node starts" in called("ledger", "verify", "--data", tmp_path).stdout
    assert path.read_bytes() == old.FILE.read_bytes()


def test_a_server_that_is_not_there_is_told_without_the_password(data: Path) -> None:
    config = data / CONFIG_FILE
    config.write_text(f'{config.read_text()}\n[ledger]\nurl = "postgresql://node:{SECRET}@127.0.0.1:1/ledger"\n')
    for words in (("run",), ("ledger", "show"), ("ledger", "verify")):
        result = called(*words, "--data", data, "--json")
        assert (result.exit_code, printed(result)["error"]["code"]) == (2, "store")
        assert SECRET not in result.stdout + result.stderr
    assert not (data / DATABASE_FILE).exists()
