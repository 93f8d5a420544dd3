"""Entries: form, commitment, and the way over the wire and back."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import cbor
from ledger.entry import EPOCH_BYTES, Entry, EntryType, SignedEntry, commit, from_wire, sign_entry, to_wire, trade_salt
from ledger.errors import BadCommitment, BadSignature, Gap, LedgerError, Malformed
from tests.ledger.world import EPOCH, PROVIDER, REQUEST, Chain

HASH = st.binary(min_size=32, max_size=32)


@st.composite
def signed_entries(draw: st.DrawFn) -> SignedEntry:
    kind = draw(st.sampled_from(EntryType))
    seq = draw(st.integers(1, cbor.INT_MAX))
    body = draw(st.binary(max_size=60))
    request_id = draw(st.binary(min_size=16, max_size=16)) if kind.of_trade else None
    salt = trade_salt(request_id, EPOCH, seq) if request_id else draw(st.binary(min_size=16, max_size=16))
    answers = draw(st.just(b"") | HASH)
    entry = Entry(1, PROVIDER.public, EPOCH, seq, draw(HASH), kind, answers, commit(salt, body))
    return sign_entry(PROVIDER, entry, salt=salt, body=body, request_id=request_id)


@given(signed_entries(), st.booleans(), st.booleans(), st.booleans())
def test_what_the_wire_leaves_out_is_rebuilt(
    signed: SignedEntry, with_prev: bool, with_answers: bool, with_epoch: bool
) -> None:
    sent = to_wire(signed, with_prev=with_prev, with_answers=with_answers, with_epoch=with_epoch)
    wire = cbor.decode(cbor.encode(sent))
    asked: list[tuple[bytes, bytes, int]] = []

    def held(node: bytes, epoch: bytes, seq: int) -> bytes:
        asked.append((node, epoch, seq))
        return signed.entry.prev

    back = from_wire(
        wire,
        node=PROVIDER.public,
        epoch=bytes(EPOCH_BYTES) if with_epoch else EPOCH,
        request_id=signed.request_id or REQUEST,
        prev_lookup=held,
        expected_answers=signed.entry.answers,
    )
    assert back == signed
    assert asked == ([] if with_prev else [(PROVIDER.public, EPOCH, signed.entry.seq - 1)])


@given(signed_entries())
def test_a_payload_parses_to_the_entry_it_was_made_of(signed: SignedEntry) -> None:
    assert Entry.parse(signed.entry.payload) == signed.entry
    assert signed.hash == hashlib.sha256(signed.entry.payload).digest()


@given(st.binary(max_size=200))
def test_any_payload_is_refused_cleanly(payload: bytes) -> None:
    with pytest.raises(LedgerError):
        Entry.parse(payload)


def receipt() -> SignedEntry:
    chain = Chain()
    return chain.add(EntryType.RECEIPT, b"body", answers=bytes([4]) * 32)


def back(wire: object, **changed: object) -> SignedEntry:
    known: dict[str, object] = {
        "node": PROVIDER.public,
        "epoch": EPOCH,
        "request_id": REQUEST,
        "prev_lookup": lambda *_: Chain().entries[0].hash,
        "expected_answers": bytes([4]) * 32,
    }
    return from_wire(wire, **{**known, **changed})  # type: ignore[arg-type]


def test_the_wire_form_stays_short() -> None:
    overhead = len(cbor.encode(to_wire(receipt(), with_prev=False))) - len(b"body")
    assert overhead <= 106
    overhead = len(cbor.encode(to_wire(receipt(), with_prev=False, with_answers=False))) - len(b"body")
    assert overhead <= 73


@pytest.mark.parametrize(
    "changed",
    [
        {"node": bytes([1]) * 32},
        {"epoch": bytes(8)},
        {"request_id": bytes(16)},
        {"prev_lookup": lambda *_: bytes([1]) * 32},
        {"expected_answers": bytes(32)},
    ],
)
def test_rebuilt_on_other_ground_it_does_not_hold(changed: dict[str, object]) -> None:
    wire = to_wire(receipt(), with_prev=False, with_answers=False)
    assert back(wire) == receipt()
    with pytest.raises(BadSignature):
        back(wire, **changed)


def test_what_is_left_out_and_not_known_is_asked_for() -> None:
    with pytest.raises(Gap):
        back(to_wire(receipt(), with_prev=False), prev_lookup=lambda *_: None)
    with pytest.raises(Gap):
        back(to_wire(receipt(), with_prev=True, with_answers=False), expected_answers=b"")


def test_the_first_of_an_epoch_always_carries_prev() -> None:
    genesis = Chain().entries[0]
    wire = to_wire(genesis, with_prev=False)
    assert wire[2] == bytes(32)
    assert back(wire) == genesis
    with pytest.raises(Malformed):
        back([*wire[:2], b"", *wire[3:]])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wire: wire[:-1],
        lambda wire: [*wire, bytes(16)],
        lambda wire: [*wire, EPOCH],
        lambda wire: [*wire, bytes(7)],
        lambda wire: [*wire, bytes(8), bytes(8)],
        lambda wire: [0, *wire[1:]],
        lambda wire: [17, *wire[1:]],
        lambda wire: [True, *wire[1:]],
        lambda wire: [wire[0], -1, *wire[2:]],
        lambda wire: [wire[0], 2**64, *wire[2:]],
        lambda wire: [*wire[:2], b"short", *wire[3:]],
        lambda wire: [*wire[:3], b"short", *wire[4:]],
        lambda wire: [*wire[:3], False, *wire[4:]],
        lambda wire: [*wire[:4], "text", *wire[5:]],
        lambda wire: [*wire[:4], bytes(2000), *wire[5:]],
        lambda wire: [*wire[:5], wire[5][:63]],
        lambda wire: {0: wire},
        lambda wire: b"bytes",
    ],
)
def test_a_spoilt_wire_form_is_malformed(spoil: object) -> None:
    with pytest.raises(Malformed):
        back(spoil(to_wire(receipt(), with_prev=True)))  # type: ignore[operator]


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 2},
        {"node": bytes(31)},
        {"epoch": bytes(9)},
        {"seq": -1},
        {"seq": 2**63},
        {"prev": b""},
        {"answers": bytes(31)},
        {"body_commitment": bytes(33)},
    ],
)
def test_an_entry_of_the_wrong_form_does_not_exist(fields: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        dataclasses.replace(receipt().entry, **fields)  # type: ignore[arg-type]


def test_the_salt_of_a_trade_is_the_truncated_hmac() -> None:
    expected = hmac.digest(REQUEST, EPOCH + (5).to_bytes(8, "big"), "sha256")[:16]
    assert trade_salt(REQUEST, EPOCH, 5) == expected
    assert trade_salt(REQUEST, EPOCH, 6) != expected


def test_salt_and_body_cannot_trade_bytes() -> None:
    with pytest.raises(Malformed):
        commit(bytes(15), b"\x00body")
    assert commit(bytes(16), b"body") == hashlib.sha256(bytes(16) + b"body").digest()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"body": b"other"}, BadCommitment),
        ({"salt": bytes(16)}, BadCommitment),
        ({"request_id": bytes(16)}, BadCommitment),
        ({"request_id": None}, Malformed),
        ({"request_id": bytes(15)}, Malformed),
        ({"signature": bytes(64)}, BadSignature),
    ],
)
def test_nothing_of_a_signed_entry_can_be_exchanged(fields: dict[str, object], error: type[LedgerError]) -> None:
    signed = receipt()
    signed.check(PROVIDER.public)
    with pytest.raises(error):
        dataclasses.replace(signed, **fields).check(PROVIDER.public)  # type: ignore[arg-type]


def test_the_export_is_the_standard_array() -> None:
    signed = receipt()
    assert cbor.decode(signed.cose) == [b"\xa1\x01\x27", {}, signed.entry.payload, signed.signature]
