"""The catalogue of what is wrong, read from its files alone: each is refused, with its own reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.audit.verify import verify
from ledger.entry import Entry
from ledger.signing import AAD_ENTRY, sig_structure
from ledger.store.reader import LedgerReader
from tests.spec.ledger_books import written
from tests.spec.ledger_checks import CHECKED_BY, outcome
from v2xnode.settling.money import posting_rule

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "ledger"
SOUND = json.loads((FOLDER / "sound.json").read_text())
PATHS = sorted(path for path in FOLDER.glob("*.json") if path.name != "sound.json")


def load(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_is_refused_with_its_reason(path: Path, tmp_path: Path) -> None:
    vector = load(path)
    assert outcome(vector, SOUND, tmp_path) == (vector["code"], vector["where"])


def test_only_the_sound_ones_are_not_refused() -> None:
    assert [path.stem for path in PATHS if not load(path)["code"]] == [
        "fork_proof_of_checkpoints",
        "fork_proof_of_entries",
    ]


def test_the_ledger_that_is_changed_was_sound(tmp_path: Path) -> None:
    with LedgerReader.open(written(tmp_path / "ledger.store.sqlite", SOUND)) as reader:
        report = verify(reader, posting_rule)
    assert report.ok, report.sentence
    assert len(SOUND["witnessed"]) == 1


def test_a_small_order_key_fits_where_it_is_not_refused() -> None:
    """OpenSSL verifies the very signature that the store refuses: the vector is one that tells libraries apart."""
    entry = load(FOLDER / "small-order_key.json")["entry"]
    payload, signature = bytes.fromhex(entry["payload"]), bytes.fromhex(entry["signature"])
    key = Ed25519PublicKey.from_public_bytes(Entry.parse(payload).node)
    for message in (sig_structure(payload, AAD_ENTRY), b"anything"):
        key.verify(signature, message)


def test_every_way_of_checking_is_there_and_described() -> None:
    assert {load(path)["checked_by"] for path in PATHS} == set(CHECKED_BY)
    page = (FOLDER / "README.md").read_text()
    assert [path.stem for path in PATHS if f"`{path.stem}`" not in page] == []
