"""`v2xnode backup` and `v2xnode restore`, as a person types them."""

from pathlib import Path

import pytest

from tests.support.data_directories import head, make_directory, names, report
from tests.v2xnode.cli.calling import called, printed
from v2xnode.backup import sealed
from v2xnode.cli.passphrase import VARIABLE


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "OPS", 1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_directory(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("correct horse battery\nsecond line\n")
    return path


def test_there_and_back(data: Path, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, target = tmp_path / "backup", tmp_path / "target"
    told = printed(called("backup", file, "--data", data, "--passphrase-file", secret, "--json"))
    assert told["bytes"] == file.stat().st_size
    monkeypatch.setenv(VARIABLE, "correct horse battery")
    restored = printed(called("restore", file, "--data", target, "--json"))
    assert restored["node"] == told["node"]
    assert report(target).ok
    assert head(target).entry.epoch != head(data).entry.epoch


def test_the_wrong_passphrase_is_exit_2_and_nothing_is_made(data: Path, secret: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "backup", tmp_path / "target"
    called("backup", file, "--data", data, "--passphrase-file", secret)
    secret.write_text("another horse")
    result = called("restore", file, "--data", target, "--passphrase-file", secret)
    assert result.exit_code == 2
    assert "wrong_passphrase" in result.stderr
    assert names(target) == set()


@pytest.mark.parametrize("text", ["", "\n", "short"])
def test_no_passphrase_or_a_weak_one_is_exit_2(data: Path, secret: Path, tmp_path: Path, text: str) -> None:
    secret.write_text(text)
    assert called("backup", tmp_path / "out", "--data", data, "--passphrase-file", secret).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_where_nobody_can_type_it_has_to_be_given(data: Path, tmp_path: Path) -> None:
    result = called("backup", tmp_path / "out", "--data", data)
    assert result.exit_code == 2
    assert "no_passphrase" in result.stderr


def test_files_that_are_not_there_are_told(data: Path, secret: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert called("restore", missing, "--data", tmp_path / "x", "--passphrase-file", secret).exit_code == 2
    assert called("backup", tmp_path / "out", "--data", data, "--passphrase-file", missing).exit_code == 2
