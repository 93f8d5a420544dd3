"""The codec: one value, one encoding, and nothing else gets in."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger import cbor
from ledger.accounts import State
from ledger.entry import EntryType
from ledger.errors import LedgerError, Malformed, NotCanonical, TooLarge, Unencodable

scalars = (
    st.integers(cbor.INT_MIN, cbor.INT_MAX)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 23), inner, max_size=4),
    max_leaves=12,
)
ROOM = 64 * 1024


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@given(values)
def test_what_is_encoded_decodes_to_the_same(value: cbor.Value) -> None:
    if depth(value) > cbor.MAX_DEPTH:
        return
    data = cbor.encode(value, max_bytes=ROOM)
    again = cbor.decode(data, max_bytes=ROOM)
    assert again == value
    assert repr(again) == repr(value) or isinstance(value, dict | list)  # true stays apart from 1


@given(values)
def test_another_codec_writes_and_reads_the_same(value: cbor.Value) -> None:
    """cbor2's canonical form is ordered by length, which is the same order for keys of one byte."""
    if depth(value) <= cbor.MAX_DEPTH:
        data = cbor.encode(value, max_bytes=ROOM)
        assert data == cbor2.dumps(value, canonical=True)
        assert cbor.decode(data, max_bytes=ROOM) == cbor2.loads(data)


@pytest.mark.parametrize("bits", range(65))
def test_heads_change_their_length_where_another_codecs_do(bits: int) -> None:
    for number in (each for about in (-1, 0, 1) for each in (2**bits + about, -(2**bits) + about)):
        if cbor.INT_MIN <= number <= cbor.INT_MAX:
            assert cbor.encode(number) == cbor2.dumps(number)
            assert cbor.decode(cbor2.dumps(number)) == number


def test_a_value_of_a_derived_type_is_what_it_is_derived_from() -> None:
    assert cbor.encode([EntryType.KEY, State.POSTED]) == cbor.encode([1, "posted"])


@given(st.binary(max_size=60))
@example(bytes.fromhex("d81c81d81d00"))  # a list that contains itself, by shared-reference tags
@example(bytes.fromhex("d823645b5b615d"))  # a regular expression whose compilation warns
@example(bytes.fromhex("c48201ff"))
@example(bytes.fromhex("9b7fffffffffffffff"))
def test_any_bytes_are_refused_cleanly_or_are_the_one_encoding(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except LedgerError:
        return
    assert cbor.encode(value) == data


@given(values, st.data())
def test_a_changed_byte_is_refused_or_another_value(value: cbor.Value, data: st.DataObject) -> None:
    good = bytearray(cbor.encode([value, 0], max_bytes=ROOM) if depth(value) < cbor.MAX_DEPTH else b"\x81\x00")
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    try:
        other = cbor.decode(bytes(good), max_bytes=ROOM)
    except LedgerError:
        return
    assert cbor.encode(other, max_bytes=ROOM) == bytes(good)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("", Malformed),
        ("1801", NotCanonical),  # 1 in two bytes
        ("190017", NotCanonical),  # 23 in three bytes
        ("1a0000ffff", NotCanonical),
        ("5800", NotCanonical),  # a length, too, in its shortest form
        ("9f01ff", NotCanonical),
        ("bfff", NotCanonical),
        ("5f4101ff", NotCanonical),
        ("1c", NotCanonical),
        ("0102", NotCanonical),  # trailing
        ("a201020103", NotCanonical),  # key twice
        ("a202000100", NotCanonical),  # keys out of order
        ("a1182000", Malformed),  # key 32
        ("a1616100", Malformed),  # key "a"
        ("a1f500", Malformed),  # key true
        ("a12000", Malformed),  # key -1
        ("f90000", Malformed),
        ("fb3ff0000000000000", Malformed),
        ("f6", Malformed),
        ("f7", Malformed),
        ("e0", Malformed),
        ("c001", Malformed),
        ("c24101", Malformed),
        ("1b8000000000000000", Malformed),  # 2^63
        ("3b8000000000000000", Malformed),  # -2^63 - 1
        ("4201", Malformed),
        ("8201", Malformed),
        ("62c328", Malformed),  # not UTF-8
        ("18", Malformed),
        ("ff", Malformed),
    ],
)
def test_what_is_refused(data: str, error: type[LedgerError]) -> None:
    with pytest.raises(error):
        cbor.decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    "value", [1.0, None, 2**63, -(2**63) - 1, {24: 0}, {-1: 0}, {True: 0}, {"a": 0}, {1}, "\ud800"]
)
def test_encode_refuses_what_decode_would(value: object) -> None:
    with pytest.raises(Unencodable):
        cbor.encode([value])


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(Unencodable):
        cbor.encode(loop)


def test_a_value_that_holds_another_many_times_over_is_refused_soon() -> None:
    value: object = b""
    for _ in range(cbor.MAX_DEPTH):
        value = [value] * 1_000
    with pytest.raises(Unencodable):
        cbor.encode(value)


def test_sizes_are_bounded_at_the_named_limits() -> None:
    largest = cbor.encode(b"x" * (cbor.MAX_BYTES - 3))
    assert len(largest) == cbor.MAX_BYTES
    assert cbor.decode(largest) == b"x" * (cbor.MAX_BYTES - 3)
    with pytest.raises(Unencodable):
        cbor.encode(b"x" * (cbor.MAX_BYTES - 2))
    with pytest.raises(TooLarge):
        cbor.decode(largest, max_bytes=cbor.MAX_BYTES - 1)


def test_depth_is_bounded_at_the_named_limit() -> None:
    assert cbor.decode(cbor.encode(nested(cbor.MAX_DEPTH))) == nested(cbor.MAX_DEPTH)
    with pytest.raises(Unencodable):
        cbor.encode(nested(cbor.MAX_DEPTH + 1))
    for levels in (cbor.MAX_DEPTH, 300, 1000):
        with pytest.raises((TooLarge, Malformed)):
            cbor.decode(b"\x81" * levels + b"\x80")


def test_maps_are_ordered_and_tuples_are_arrays() -> None:
    assert cbor.encode({23: (1, 2), 0: True}).hex() == "a200f517820102"
