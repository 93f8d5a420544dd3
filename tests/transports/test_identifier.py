"""Identifiers that only the holders of a key can tell apart, and the six bytes that carry them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.errors import Malformed
from transports.identifier import (
    ANNOUNCEMENT_BYTES,
    ROTATION_MS,
    make_identifier,
    pack_announcement,
    resolves,
    unpack_announcement,
)
from transports.interface import IDENTIFIER_BYTES, Announcement

KEY = bytes(range(16))


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=2, max_size=2))
def test_the_holder_of_the_key_resolves_every_identifier(key: bytes, random: bytes) -> None:
    identifier = make_identifier(key, random)
    assert len(identifier) == IDENTIFIER_BYTES
    assert identifier.startswith(random)
    assert resolves(key, identifier)


def test_another_key_resolves_none_of_many() -> None:
    made = [make_identifier(KEY, number.to_bytes(2, "big")) for number in range(0, 65_536, 64)]
    assert not any(resolves(bytes(16), identifier) for identifier in made)
    assert len({identifier[2:] for identifier in made}) == len(made)


def test_a_flipped_bit_resolves_no_more() -> None:
    identifier = make_identifier(KEY, b"\x12\x34")
    for bit in range(40):
        flipped = (int.from_bytes(identifier, "big") ^ 1 << bit).to_bytes(5, "big")
        assert not resolves(KEY, flipped)


def test_a_known_value() -> None:
    """HMAC-SHA256 under the key 00..0f of the bytes 12 34, computed with OpenSSL, begins with 6a f1 fc."""
    assert make_identifier(KEY, b"\x12\x34").hex() == "12346af1fc"


@pytest.mark.parametrize("identifier", [b"", bytes(4), bytes(6)])
def test_an_identifier_of_another_length_does_not_resolve(identifier: bytes) -> None:
    assert not resolves(KEY, identifier)


@pytest.mark.parametrize(("key", "random"), [(bytes(15), bytes(2)), (KEY, bytes(1)), (KEY, bytes(3))])
def test_wrong_lengths_are_refused(key: bytes, random: bytes) -> None:
    with pytest.raises(ValueError, match="resolving key"):
        make_identifier(key, random)


def test_an_identifier_lives_a_quarter_of_an_hour_at_most() -> None:
    assert ROTATION_MS <= 900_000


@given(st.integers(0, 15), st.integers(0, 15), st.binary(min_size=5, max_size=5))
def test_an_announcement_comes_back(role_bits: int, service_bits: int, identifier: bytes) -> None:
    announcement = Announcement(role_bits, service_bits, identifier)
    packed = pack_announcement(announcement)
    assert len(packed) == ANNOUNCEMENT_BYTES == 6
    assert unpack_announcement(packed) == announcement


def test_the_layout_of_an_announcement() -> None:
    assert pack_announcement(Announcement(0xA, 0x5, b"abcde")) == b"\xa5abcde"


@pytest.mark.parametrize("data", [b"", bytes(5), bytes(7)])
def test_announcements_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        unpack_announcement(data)
