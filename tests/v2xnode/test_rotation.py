"""A stopped node changes its key: in chain and directory together, whatever cuts it short."""

import os
from pathlib import Path

import pytest

from ledger.errors import KeyMissing
from ledger.keys.key_history import KeyHistory
from ledger.signing import Signer
from ledger.store.reader import LedgerReader
from tests.support.data_directories import PAPER, make_directory, names, report, sign
from v2xnode.config import DATABASE_FILE
from v2xnode.errors import UsageError
from v2xnode.identity import KEY_FILE, load_identity, load_public_facts
from v2xnode.revocation_key import RevocationKey
from v2xnode.rotation import NEXT_KEY_FILE, give_up, revoke_keys, rotate_key, settle
from v2xnode.secret_file import create_secret

OTHER_PAPER = RevocationKey(bytes([8]) * 32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_directory(tmp_path / "data")
    return tmp_path / "data"


def where(data: Path) -> Path:
    return data / DATABASE_FILE


def keys(data: Path) -> KeyHistory:
    with LedgerReader.open(where(data)) as reader:
        return reader.keys_of(reader.node)


def test_a_rotated_node_keeps_its_name(data: Path) -> None:
    before = load_identity(data)
    after = rotate_key(data, where(data), os.urandom)
    assert after.public == before.public == load_identity(data).public
    assert after.is_rotated
    assert keys(data).current == after.signer.public
    sign(data).check(after.signer.public)
    assert report(data).ok
    assert NEXT_KEY_FILE not in names(data)


def test_it_can_be_rotated_again_and_again(data: Path) -> None:
    publics = [rotate_key(data, where(data), os.urandom).signer.public for _ in range(3)]
    assert len(set(publics)) == 3
    assert report(data).ok


def test_a_directory_of_the_first_version_learns_its_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = make_directory(data)
    (data / "node.public").unlink()
    assert rotate_key(data, where(data), os.urandom).public == before.public


def test_cut_short_before_the_chain_named_it_the_old_key_stays(data: Path) -> None:
    before = load_identity(data)
    create_secret(data / NEXT_KEY_FILE, bytes([9]) * 32)
    settle(data, where(data))
    assert load_identity(data).seed == before.seed
    assert NEXT_KEY_FILE not in names(data)
    sign(data)


def test_cut_short_after_the_chain_named_it_the_new_key_takes_its_place(data: Path) -> None:
    old = (data / KEY_FILE).read_bytes()
    after = rotate_key(data, where(data), os.urandom)
    (data / KEY_FILE).rename(data / NEXT_KEY_FILE)
    (data / KEY_FILE).write_bytes(old)
    (data / KEY_FILE).chmod(0o600)
    (data / "node.public").unlink()
    sign(data).check(after.signer.public)
    assert load_identity(data).public == after.public


def test_a_first_revocation_key_comes_with_a_rotation_and_a_second_does_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_directory(data, revocation=b"")
    rotate_key(data, where(data), os.urandom, PAPER.commitment)
    facts = load_public_facts(data)
    assert facts is not None
    assert facts.revocation == keys(data).commitment == PAPER.commitment
    before = load_identity(data)
    with pytest.raises(UsageError) as refused:
        rotate_key(data, where(data), os.urandom, OTHER_PAPER.commitment)
    assert refused.value.code == "key_refused"
    assert load_identity(data).seed == before.seed
    assert NEXT_KEY_FILE not in names(data)


def test_the_paper_takes_the_key_away_and_names_the_next_paper(data: Path) -> None:
    stolen = load_identity(data)
    revoke_keys(data, where(data), os.urandom, PAPER, OTHER_PAPER.commitment)
    history = keys(data)
    assert history.revoked == {stolen.signer.public}
    assert history.commitment == OTHER_PAPER.commitment
    assert history.current == load_identity(data).signer.public != stolen.signer.public
    sign(data)
    assert report(data).ok


def test_another_paper_takes_nothing_away(data: Path) -> None:
    before = load_identity(data)
    with pytest.raises(UsageError):
        revoke_keys(data, where(data), os.urandom, OTHER_PAPER, PAPER.commitment)
    with pytest.raises(UsageError):
        give_up(data, where(data), OTHER_PAPER)
    assert load_identity(data).seed == before.seed
    assert not keys(data).revoked


def test_a_node_that_was_given_up_signs_no_more(data: Path) -> None:
    give_up(data, where(data), PAPER)
    assert keys(data).current == b""
    with pytest.raises(KeyMissing):
        sign(data)


def test_a_lost_ledger_begins_again_under_the_same_revocation_key(data: Path) -> None:
    for name in (DATABASE_FILE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm"):
        (data / name).unlink(missing_ok=True)
    sign(data)
    assert keys(data).commitment == PAPER.commitment
    assert Signer(load_identity(data).seed).public == keys(data).current
