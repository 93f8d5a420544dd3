"""What a receipt file shows of signed bytes: each part that is wrong is refused with its own code."""

from dataclasses import replace

import pytest

from ledger.entry import EntryType
from ledger.errors import RemoteLedgerError
from ledger.files.receipt import FORM, Receipt, history_of
from ledger.filing import read_file
from ledger.keys.key_history import KeyHistory
from ledger.message import SignedMessage
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.note import Note
from tests.support.deals import AT_S, CLIENT, PROVIDER
from tests.support.receipts import SETTLED, read, receipts
from tests.support.wrong_receipts import ALTERED, wrong_receipts

FIXED = receipts()["fixed"]


def code_of(data: bytes) -> str:
    """Why a file is refused; empty where it is not."""
    try:
        form, fields = read_file(data)
        assert form == FORM
        Receipt.parse(fields).check()
    except RemoteLedgerError as problem:
        return problem.code
    return ""


@pytest.mark.parametrize("name", [*SETTLED, "by the client"])
def test_one_that_holds_is_read_as_it_was_made(name: str) -> None:
    data = receipts()[name]
    assert code_of(data) == ""
    assert read(data).encode() == data


@pytest.mark.parametrize("name", ALTERED)
def test_what_a_stranger_alters_is_refused_with_its_code(name: str) -> None:
    data, code = wrong_receipts()[name]
    assert code_of(data) == code


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xff", b"[]", b"{}", b"null", b"[" * 100_000, b'{"form": 1}'),
        b'{"form": "v2x-receipt/1", "node": 1.5}',
        b'{"form": "v2x-receipt/1", "form": "v2x-receipt/1"}',
        b'{"form": "x", "n": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_such_file_is_malformed(data: bytes) -> None:
    with pytest.raises(RemoteLedgerError) as refusal:
        read_file(data)
    assert refusal.value.code == "malformed"


def test_two_entries_for_one_place_are_a_fork() -> None:
    receipt, other = read(FIXED), read(receipts()["by the client"])
    first = receipt.entries[1]
    assert first.entry.node == PROVIDER.public
    twin = replace(first.entry, body_commitment=bytes(32))
    signed = replace(first, entry=twin)
    with pytest.raises(RemoteLedgerError) as refusal:
        replace(other, entries=(first, signed)).check()
    assert refusal.value.code in ("bad_commitment", "fork")


def test_a_stranger_can_not_cosign_under_anothers_name() -> None:
    receipt = read(FIXED)
    assert receipt.note is not None
    checkpoint = Checkpoint.parse(receipt.note.text)
    forged = cosign(PROVIDER.signer, CLIENT.public, checkpoint, AT_S)
    note = Note(receipt.note.text, (receipt.note.signatures[0], forged))
    with pytest.raises(RemoteLedgerError) as refusal:
        replace(receipt, note=note).check()
    assert refusal.value.code == "bad_signature"


def test_another_root_of_the_same_node_does_not_hold() -> None:
    receipt = read(FIXED)
    epoch = next(each.entry.epoch for each in receipt.entries if each.entry.node == receipt.node)
    note = sign_checkpoint(PROVIDER.signer, Checkpoint(origin_of(PROVIDER.public, epoch), 200, bytes(32)))
    with pytest.raises(RemoteLedgerError) as refusal:
        replace(receipt, note=note).check()
    assert refusal.value.code == "bad_proof"


def test_a_message_of_another_request_is_refused() -> None:
    receipt, other = read(FIXED), read(receipts()["taxed"])
    with pytest.raises(RemoteLedgerError) as refusal:
        replace(receipt, messages=other.messages).check()
    assert refusal.value.code == "malformed"


def test_whose_keys_are_not_shown_signs_under_its_name() -> None:
    assert history_of({}, CLIENT.public) == KeyHistory(CLIENT.public)
    assert all(isinstance(each, SignedMessage) for each in read(FIXED).messages)
    assert EntryType.CLOSED in {each.entry.type for each in read(FIXED).entries}
