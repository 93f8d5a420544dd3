"""What others may keep of a ledger, and what it keeps of others, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.note import Note
from ledger.proofs.proving import Cosignature, append_checkpoint, append_witness
from ledger.store.ledger import Ledger
from ledger.witnessing.fork import fork_of_entries
from ledger.witnessing.forks import keep_fork
from ledger.witnessing.witness import show
from tests.ledger.world import CLIENT, EPOCH, PROVIDER, Chain
from tests.v2xnode.cli.calling import called, printed
from v2xnode.config import DATABASE_FILE
from v2xnode.settling.money import posting_rule

AT_S = 1_800_000_000


def theirs(size: int, epoch: bytes = EPOCH) -> Note:
    return sign_checkpoint(PROVIDER, Checkpoint(origin_of(PROVIDER.public, epoch), size, bytes([size]) * 32))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A ledger with a checkpoint that its peer cosigned, two of the peer's, and a proof against it."""
    chain = Chain()
    with Ledger.open(tmp_path / DATABASE_FILE, CLIENT, posting_rule=posting_rule) as ledger:
        held = ledger.transact(append_checkpoint)
        line = cosign(PROVIDER, PROVIDER.public, held.checkpoint, AT_S)
        ledger.transact(lambda tx: append_witness(tx, held.stored.hash, Cosignature(PROVIDER.public, line)))
        ledger.transact(lambda tx: show(tx, theirs(3), 0, [], AT_S))
        ledger.transact(lambda tx: show(tx, theirs(2, bytes(8)), 0, [], AT_S + 1))
        proof = fork_of_entries(chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"other"))
        ledger.transact(lambda tx: keep_fork(tx, proof))
    return tmp_path


def test_a_checkpoint_with_its_cosignatures_is_given_away(data: Path, tmp_path: Path) -> None:
    text = called("ledger", "checkpoint", "--data", data).stdout
    note = Note.parse(text.encode())
    assert len(note.signatures) == 2
    told = printed(called("ledger", "checkpoint", "--data", data, "--json"))
    assert (told["checkpoint"], told["node"], told["size"]) == (text, CLIENT.public.hex(), 1)
    kept = tmp_path / "kept.txt"
    kept.write_text(text)
    assert called("ledger", "verify", "--data", data, "--checkpoint", kept).exit_code == 0


def test_the_newest_that_is_remembered_of_a_peer_is_given_back(data: Path) -> None:
    result = called("ledger", "checkpoint", "--data", data, "--of", PROVIDER.public.hex())
    assert result.stdout.encode() == bytes(theirs(2, bytes(8)))


@pytest.mark.parametrize(
    ("of", "code"), [("", "no_checkpoint"), (CLIENT.public.hex(), "no_checkpoint"), ("somebody", "no_node")]
)
def test_what_is_not_there_is_said(settled: Path, of: str, code: str) -> None:
    result = called("ledger", "checkpoint", "--data", settled / "client", "--of", of, "--json")
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, code)


def test_forks_are_listed_and_given_away(data: Path, tmp_path: Path) -> None:
    told = printed(called("ledger", "forks", "--data", data, "--json"))["forks"]
    assert [(each["node"], each["file"]) for each in told] == [(PROVIDER.public.hex(), None)]
    out = tmp_path / "proofs"
    [written] = printed(called("ledger", "forks", "--data", data, "--out", out, "--json"))["forks"]
    assert called("ledger", "verify", written["file"]).exit_code == 0
    assert str(out) in called("ledger", "forks", "--data", data, "--out", out).stdout


def test_no_fork_is_said(settled: Path) -> None:
    result = called("ledger", "forks", "--data", settled / "client")
    assert (result.exit_code, result.stdout) == (0, "No fork proof is held.\n")


def test_a_directory_that_can_not_be_written_is_exit_2(data: Path, tmp_path: Path) -> None:
    result = called("ledger", "forks", "--data", data, "--out", tmp_path / DATABASE_FILE)
    assert result.exit_code == 2
