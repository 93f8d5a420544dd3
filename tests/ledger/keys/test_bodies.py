"""KEY bodies: one encoding each, nothing else read, and a consent that is bound to its place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import cbor
from ledger.errors import BadSignature, LedgerError, Malformed, NotCanonical
from ledger.keys.bodies import (
    ClosedEpoch,
    EpochStart,
    Genesis,
    KeyBody,
    MeterKey,
    Place,
    Rotation,
    Succession,
    check_consent,
    consent_of,
    decode_key,
    encode_key,
)
from tests.ledger.key_world import COMMITMENT, NODE, OTHER, SECOND

PLACE = Place(NODE, bytes([1]) * 8, 7, bytes([2]) * 32)


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


PUBLIC, SIGNATURE = octets(32), octets(64)
COMMITMENTS = st.just(b"") | octets(32)
CLOSED = st.builds(ClosedEpoch, octets(8), st.integers(1, cbor.INT_MAX), octets(32))
BODIES: st.SearchStrategy[KeyBody] = st.one_of(
    st.builds(Genesis, PUBLIC, COMMITMENTS),
    st.builds(Rotation, PUBLIC, COMMITMENTS, SIGNATURE),
    st.builds(Succession, PUBLIC, COMMITMENTS, CLOSED, SIGNATURE, PUBLIC),
    st.builds(Succession, st.just(b""), COMMITMENTS, CLOSED, st.just(b""), PUBLIC),
    st.builds(EpochStart, PUBLIC, COMMITMENTS, CLOSED),
    st.builds(MeterKey, octets(64).map(lambda xy: b"\x04" + xy), SIGNATURE),
)


@given(BODIES)
def test_every_body_comes_back(body: KeyBody) -> None:
    assert decode_key(encode_key(body)) == body


@given(BODIES, st.integers(0, 7), st.sampled_from([b"", b"x", 0, -1, True, "", [], bytes(33)]))
def test_a_field_of_another_form_is_refused_or_another_body(body: KeyBody, key: int, value: cbor.Value) -> None:
    fields = cbor.decode(encode_key(body))
    assert isinstance(fields, dict)
    changed = cbor.encode({**fields, key: value})
    try:
        assert encode_key(decode_key(changed)) == changed
    except Malformed:
        return


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_cleanly(data: bytes) -> None:
    with pytest.raises(LedgerError):
        decode_key(data)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {0: 0, 1: NODE},
        {0: 0, 1: NODE, 2: b"", 3: b""},
        {0: 5, 1: NODE, 2: b""},
        {0: True, 1: NODE, 2: b"", 6: bytes(64)},
        {0: 0, 1: NODE, 2: bytes(31)},
        {0: 3, 1: NODE, 2: b"", 3: bytes(8), 4: 0, 5: bytes(32)},
        {0: 2, 1: b"", 2: b"", 3: bytes(8), 4: 1, 5: bytes(32), 6: bytes(64), 7: NODE},
        {0: 2, 1: NODE, 2: b"", 3: bytes(8), 4: 1, 5: bytes(32), 6: b"", 7: NODE},
        {0: 4, 1: b"\x02" + bytes(64), 6: bytes(64)},
        {0: bytes(31)},
    ],
)
def test_what_is_no_key_body_is_refused(fields: dict[int, cbor.Value]) -> None:
    with pytest.raises(Malformed):
        decode_key(cbor.encode(fields))


def test_the_genesis_of_the_first_ledgers_is_read_as_one_without_a_revocation_key() -> None:
    assert decode_key(cbor.encode({0: NODE})) == Genesis(NODE, b"")


def test_one_value_has_one_encoding() -> None:
    with pytest.raises(NotCanonical):
        decode_key(encode_key(Genesis(NODE)) + b"\x00")


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, node=OTHER.public),
        replace(PLACE, epoch=bytes(8)),
        replace(PLACE, seq=8),
        replace(PLACE, prev=bytes(32)),
    ],
)
def test_a_consent_holds_at_its_place_only(other: Place) -> None:
    body = Rotation(SECOND.public, COMMITMENT, consent_of(SECOND, PLACE, COMMITMENT))
    check_consent(PLACE, body)
    with pytest.raises(BadSignature):
        check_consent(other, body)


@pytest.mark.parametrize("changed", [{"public": OTHER.public}, {"commitment": b""}, {"consent": bytes(64)}])
def test_a_consent_holds_for_its_key_and_commitment_only(changed: dict[str, bytes]) -> None:
    body = Rotation(SECOND.public, COMMITMENT, consent_of(SECOND, PLACE, COMMITMENT))
    with pytest.raises(BadSignature):
        check_consent(PLACE, replace(body, **changed))
