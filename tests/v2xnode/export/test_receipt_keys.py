"""Receipts of parties whose keys changed: during the trade, after it, and where one was revoked."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import RemoteLedgerError
from ledger.key_changes import succeed
from ledger.keys import commitment_to
from ledger.signing import Signer
from ledger.store import Ledger
from tests.support.deals import CLIENT, FIXED, PROVIDER, Deal, Side, counted, request_id
from tests.support.receipts import checkpointed, read, receipt_of
from v2xnode.export.paper import check_code
from v2xnode.export.receipt import check_receipt
from v2xnode.settling.money import posting_rule

SECOND, OFFLINE, THIRD = (Signer(bytes([number]) * 32) for number in (21, 22, 23))


@contextmanager
def deal() -> Iterator[Deal]:
    """The provider's chain names an offline key."""
    with tempfile.TemporaryDirectory(prefix="keys-") as directory:
        sides = []
        for name, identity, first in (("provider", PROVIDER, 11), ("client", CLIENT, 12)):
            path = Path(directory) / name
            commitment = commitment_to(OFFLINE.public) if identity is PROVIDER else b""
            ledger = Ledger.open(
                path, identity.signer, posting_rule=posting_rule, entropy=counted(first), commitment=commitment
            )
            sides.append(Side(identity, ledger, path))
        with sides[0].ledger, sides[1].ledger:
            yield Deal(sides[0], sides[1], replace(FIXED, request_id=request_id("keys")))


def test_a_key_that_changed_in_the_middle_is_followed_on_both_sides() -> None:
    with deal() as made:
        made.agree()
        made.rotate(made.provider, SECOND)
        made.meter((101, 99))
        made.close()
        checkpointed(made.provider, made.client)
        for side in (made.provider, made.client):
            receipt = read(receipt_of(side, "keys").encode())
            verdict = check_receipt(receipt)
            assert verdict.dossier.agreed_wh == 101
            assert not verdict.checked.revoked
            assert len(receipt.keys) == 2
            assert check_code(receipt) is None


def test_without_the_key_entries_it_does_not_hold() -> None:
    with deal() as made:
        made.agree()
        made.rotate(made.provider, SECOND)
        made.meter((101, 99))
        made.close()
        bare = replace(receipt_of(made.client, "keys"), keys=())
    with pytest.raises(RemoteLedgerError) as refusal:
        check_receipt(bare)
    assert refusal.value.code == "bad_signature"


def test_what_a_revoked_key_signed_before_still_holds_and_it_is_said() -> None:
    with deal() as made:
        made.play()
        checkpointed(made.provider, made.client)
        given = receipt_of(made.provider, "keys")
        made.provider.ledger.transact(lambda tx: succeed(tx, OFFLINE, THIRD, commitment_to(OFFLINE.public)))
        made.show_keys(made.provider)
        for side in (made.provider, made.client):
            verdict = check_receipt(read(receipt_of(side, "keys").encode()))
            assert verdict.checked.revoked
            assert verdict.dossier.total_micro == 95_002
        assert check_receipt(given).dossier.total_micro == 95_002


def test_what_it_signed_behind_that_does_not() -> None:
    """A thief goes on with the old key; the owner has revoked it long before."""
    with deal() as made:
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
                forged = receipt_of(made.provider, "keys")
    with pytest.raises(RemoteLedgerError) as refusal:
        check_receipt(replace(forged, keys=tuple(keys)))
    assert refusal.value.code == "revoked"


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as held, closing(sqlite3.connect(target)) as copy:
        held.backup(copy)
