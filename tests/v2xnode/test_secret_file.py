"""A secret that others may read, or that is damaged, is refused; one that is there is never written over."""

from pathlib import Path

import pytest

from v2xnode.errors import LocalError
from v2xnode.secret_file import create_secret, read_secret


def test_only_the_owner_may_read_what_was_written(tmp_path: Path) -> None:
    create_secret(tmp_path / "key", b"\x01\x02")
    assert read_secret(tmp_path / "key", 2) == b"\x01\x02"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_secret_is_never_written_over(tmp_path: Path) -> None:
    create_secret(tmp_path / "key", b"\x01")
    with pytest.raises(FileExistsError):
        create_secret(tmp_path / "key", b"\x02")
    assert read_secret(tmp_path / "key", 1) == b"\x01"


def test_one_that_others_may_read_is_refused(tmp_path: Path) -> None:
    create_secret(tmp_path / "key", b"\x01")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(LocalError) as refusal:
        read_secret(tmp_path / "key", 1)
    assert refusal.value.code == "key_exposed"


@pytest.mark.parametrize("text", ["", "0", "xy", "0102", "\x00\xff"])
def test_a_damaged_one_is_refused(tmp_path: Path, text: str) -> None:
    create_secret(tmp_path / "key", b"\x01")
    (tmp_path / "key").write_text(text, encoding="latin-1")
    with pytest.raises(LocalError) as refusal:
        read_secret(tmp_path / "key", 1)
    assert refusal.value.code == "key_damaged"
