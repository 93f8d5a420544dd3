"""Varints: the examples of RFC 9000 appendix A.1, the round trip, one encoding per value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.errors import Malformed
from transports.varint import MAX_VARINT, decode_varint, encode_varint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("c2197c5eff14e88c", 151_288_809_941_952_652),
        ("9d7f3e7d", 494_878_333),
        ("7bbd", 15_293),
        ("25", 37),
    ],
)
def test_examples_of_the_rfc(text: str, value: int) -> None:
    assert decode_varint(bytes.fromhex(text)) == (value, len(text) // 2)
    assert encode_varint(value).hex() == text


@given(st.integers(0, MAX_VARINT), st.binary(max_size=4), st.binary(max_size=4))
def test_round_trip_at_any_offset(value: int, before: bytes, behind: bytes) -> None:
    data = before + encode_varint(value)
    assert decode_varint(data + behind, len(before)) == (value, len(data))


@given(st.binary(max_size=9))
def test_what_decodes_is_the_only_encoding(data: bytes) -> None:
    try:
        value, end = decode_varint(data)
    except Malformed:
        return
    assert encode_varint(value) == data[:end]


@pytest.mark.parametrize("text", ["", "40", "4025", "80003bbd", "c000000000000025", "c2197c5eff14e8"])
def test_missing_bytes_and_longer_forms_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_varint(bytes.fromhex(text))


@pytest.mark.parametrize("value", [-1, MAX_VARINT + 1])
def test_values_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="varint"):
        encode_varint(value)
