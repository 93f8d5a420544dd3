"""Files of strangers and checkpoints that somebody kept, from the command line: exit 0, 5 with the reason, or 2."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.proofs.checkpoint import Checkpoint, origin_of, sign_checkpoint
from ledger.proofs.proving import append_checkpoint
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.witnessing.fork import ForkProof, fork_of_entries, to_file
from ledger.witnessing.forks import keep_fork
from tests.ledger.world import CLIENT, PROVIDER, Chain
from tests.support.receipts import receipts
from tests.support.wrong_receipts import wrong_receipts
from tests.v2xnode.cli.calling import called, printed
from v2xnode.config import DATABASE_FILE
from v2xnode.settling.money import posting_rule


def proof(signer: Signer = PROVIDER) -> ForkProof:
    chain = Chain(signer)
    return fork_of_entries(chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"other"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fork.json"
    path.write_bytes(to_file(proof(), []))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A node's directory with a ledger that holds a checkpoint, and a proof against another node behind it."""
    with Ledger.open(tmp_path / DATABASE_FILE, CLIENT, posting_rule=posting_rule) as ledger:
        held = ledger.transact(append_checkpoint)
        (tmp_path / "checkpoint.txt").write_bytes(bytes(held.note))
        ledger.transact(lambda tx: keep_fork(tx, proof()))
        later = ledger.transact(append_checkpoint)
        (tmp_path / "later.txt").write_bytes(bytes(later.note))
    return tmp_path


def test_a_fork_proof_is_checked_without_a_ledger(file: Path) -> None:
    result = called("ledger", "verify", file, "--json")
    told = printed(result)
    assert result.exit_code == 0
    assert (told["ok"], told["form"], told["kind"], told["at"]) == (True, "v2x-fork/1", "entries", 1)
    assert told["node"] == PROVIDER.public.hex()
    assert told["node"] in called("ledger", "verify", file).stdout


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"signature": "', '"signature": "AAAA', "malformed"),
        ('"signature": "', '"signature": "AA', "malformed"),
        ('"kind": "entries"', '"kind": "heads"', "malformed"),
        ("v2x-fork/1", "v2x-fork/1\\", "malformed"),
    ],
)
def test_a_file_that_does_not_hold_is_exit_5_with_its_reason(file: Path, old: str, new: str, code: str) -> None:
    file.write_text(file.read_text().replace(old, new))
    result = called("ledger", "verify", file, "--json")
    assert result.exit_code == 5
    assert printed(result)["error"]["code"] == code


def test_a_forged_accusation_is_exit_5(file: Path) -> None:
    fields = json.loads(file.read_text())
    fields["second"]["signature"] = fields["first"]["signature"]
    file.write_text(json.dumps(fields))
    result = called("ledger", "verify", file, "--json")
    assert (result.exit_code, printed(result)["error"]["code"]) == (5, "bad_signature")


def test_what_is_no_known_file_is_exit_2(file: Path, tmp_path: Path) -> None:
    file.write_text('{"form": "shopping-list/1"}')
    for path, code in ((file, "unknown_form"), (tmp_path / "nothing", "no_file"), (tmp_path, "no_file")):
        result = called("ledger", "verify", path, "--json")
        assert (result.exit_code, printed(result)["error"]["code"]) == (2, code)


@pytest.mark.parametrize("name", ["checkpoint.txt", "later.txt"])
def test_a_ledger_is_held_against_a_checkpoint(data: Path, name: str) -> None:
    path = data / name
    for given in (path, path.read_text(), path.read_text().strip()):
        result = called("ledger", "verify", "--data", data, "--checkpoint", given)
        assert result.exit_code == 0
        assert "agree with the checkpoint" in result.stdout


def test_a_missing_tail_is_exit_5_and_named(data: Path) -> None:
    with closing(sqlite3.connect(data / DATABASE_FILE, isolation_level=None)) as driver:
        driver.execute("DELETE FROM entry WHERE position > 2")
    assert called("ledger", "verify", "--data", data).exit_code == 0
    result = called("ledger", "verify", "--data", data, "--checkpoint", data / "later.txt", "--json")
    fault = printed(result)["fault"]
    assert (result.exit_code, fault["code"]) == (5, "truncated")
    assert "entry 2 is missing" in fault["sentence"]


def test_what_is_no_checkpoint_of_this_ledger_is_told(data: Path, tmp_path: Path) -> None:
    stranger = bytes(sign_checkpoint(PROVIDER, Checkpoint(origin_of(PROVIDER.public, bytes(8)), 1, bytes(32)))).decode()
    cases = ((stranger, 5, "foreign"), ("a\nb", 5, "malformed"), (str(tmp_path / "nothing"), 2, "no_file"))
    for given, exit_code, code in cases:
        result = called("ledger", "verify", "--data", data, "--checkpoint", given, "--json")
        assert (result.exit_code, printed(result)["error"]["code"]) == (exit_code, code)


@pytest.mark.parametrize("name", receipts())
def test_a_receipt_is_checked_without_a_ledger(tmp_path: Path, name: str) -> None:
    (tmp_path / "receipt.json").write_bytes(receipts()[name])
    result = called("ledger", "verify", tmp_path / "receipt.json", "--json")
    assert (result.exit_code, printed(result)["ok"], printed(result)["form"]) == (0, True, "v2x-receipt/1")
    assert list(tmp_path.iterdir()) == [tmp_path / "receipt.json"]


@pytest.mark.parametrize("name", ["another hash in a proof", "a receipt over another sum", "deep CBOR"])
def test_a_wrong_receipt_is_exit_5_with_its_code(tmp_path: Path, name: str) -> None:
    data, code = wrong_receipts()[name]
    (tmp_path / "receipt.json").write_bytes(data)
    result = called("ledger", "verify", tmp_path / "receipt.json")
    assert (result.exit_code, result.stdout) == (5, "")
    assert f"[{code}]" in result.stderr
