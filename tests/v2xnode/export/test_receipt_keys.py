"""Receipts of parties whose keys changed: during the trade, after it, and where one was revoked."""

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import RemoteLedgerError
from ledger.keys.bodies import commitment_to
from ledger.own.key_changes import succeed
from ledger.store.ledger import Ledger
from tests.support.deals import PROVIDER, Side
from tests.support.key_deals import KEY_STORIES, NAME, OFFLINE, THIRD, key_deal, rotated
from tests.support.receipts import checkpointed, read, receipt_of
from v2xnode.export.paper import check_code
from v2xnode.export.receipt import check_receipt
from v2xnode.settling.money import posting_rule


@pytest.mark.parametrize("name", KEY_STORIES)
def test_both_sides_receipts_hold(name: str) -> None:
    with key_deal() as made:
        KEY_STORIES[name](made)
        for side in (made.provider, made.client):
            verdict = check_receipt(read(receipt_of(side, NAME).encode()))
            assert verdict.dossier.state == "settled"
            assert verdict.checked.revoked is (name in ("revoked", "given up"))


def test_a_key_that_changed_in_the_middle_is_followed_on_both_sides() -> None:
    with key_deal() as made:
        rotated(made)
        checkpointed(made.provider, made.client)
        for side in (made.provider, made.client):
            receipt = read(receipt_of(side, NAME).encode())
            verdict = check_receipt(receipt)
            assert verdict.dossier.agreed_wh == 101
            assert not verdict.checked.revoked
            assert len(receipt.keys) == 2
            assert check_code(receipt) is None


def test_without_the_key_entries_it_does_not_hold() -> None:
    with key_deal() as made:
        rotated(made)
        bare = replace(receipt_of(made.client, NAME), keys=())
    with pytest.raises(RemoteLedgerError) as refusal:
        check_receipt(bare)
    assert refusal.value.code == "bad_signature"


def test_what_a_revoked_key_signed_before_still_holds_and_it_is_said() -> None:
    with key_deal() as made:
        made.play()
        checkpointed(made.provider, made.client)
        given = receipt_of(made.provider, NAME)
        made.provider.ledger.transact(lambda tx: succeed(tx, OFFLINE, THIRD, commitment_to(OFFLINE.public)))
        made.show_keys(made.provider)
        for side in (made.provider, made.client):
            verdict = check_receipt(read(receipt_of(side, NAME).encode()))
            assert verdict.checked.revoked
            assert verdict.dossier.total_micro == 95_002
        assert check_receipt(given).dossier.total_micro == 95_002


def test_what_it_signed_behind_that_does_not() -> None:
    """A thief goes on with the old key; the owner has revoked it long before."""
    with key_deal() as made:
        made.agree()
        made.meter((101, 99))
        with tempfile.TemporaryDirectory(prefix="thief-") as directory:
            stolen = Path(directory) / "thief"
            _copy(made.provider.path, stolen)
            made.provider.ledger.transact(lambda tx: succeed(tx, OFFLINE, THIRD, b""))
            keys = made.provider.ledger.transact(lambda view: view.key_entries(view.node))
            with Ledger.open(stolen, PROVIDER.signer, posting_rule=posting_rule) as thiefs:
                made.provider = Side(PROVIDER, thiefs, stolen)
                made.close()
                forged = receipt_of(made.provider, NAME)
    with pytest.raises(RemoteLedgerError) as refusal:
        check_receipt(replace(forged, keys=tuple(keys)))
    assert refusal.value.code == "revoked"


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as held, closing(sqlite3.connect(target)) as copy:
        held.backup(copy)
