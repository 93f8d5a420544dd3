"""The key file: made once, for the owner's eyes only, and refused when damaged."""

from pathlib import Path

import pytest

from v2xnode.errors import LocalError
from v2xnode.identity import KEY_FILE, create_identity, load_identity


def test_a_created_identity_is_loaded_again(tmp_path: Path) -> None:
    made = create_identity(tmp_path)
    assert load_identity(tmp_path).public == made.public
    assert made.node_id == made.public.hex()
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_second_key_never_replaces_the_first(tmp_path: Path) -> None:
    made = create_identity(tmp_path)
    with pytest.raises(LocalError, match="exists already"):
        create_identity(tmp_path)
    assert load_identity(tmp_path).public == made.public


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    create_identity(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(LocalError, match="chmod 600"):
        load_identity(tmp_path)


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31, "ab" * 33])
def test_a_damaged_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / KEY_FILE
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(LocalError, match="damaged"):
        load_identity(tmp_path)


def test_a_missing_key_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="v2xnode init"):
        load_identity(tmp_path)


def test_the_seed_does_not_show(tmp_path: Path) -> None:
    made = create_identity(tmp_path)
    assert made.seed.hex() not in repr(made)
    assert made.resolving_key not in (made.seed[:16], made.public[:16])
