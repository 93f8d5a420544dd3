"""One key in two forms, and the keys that no honest node has."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from transports.errors import BadKey
from transports.keys import NodeKeys, exchange_key, is_canonical, public_key

PRIME = 2**255 - 19
SMALL_ORDER = [
    0,
    1,
    PRIME - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
"""Every u of small order on Curve25519, in reduced form (the five of RFC 7748 section 6.1's warning)."""


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32))
def test_the_signing_key_comes_back_from_the_exchange_key_and_a_bit(seed: bytes) -> None:
    keys = NodeKeys.from_seed(seed)
    assert keys.public == bytes(SigningKey(seed).verify_key)
    assert keys.exchange == bytes(PrivateKey(keys.secret).public_key)
    assert exchange_key(keys.public) == keys.exchange
    assert public_key(keys.exchange, keys.sign_bit) == keys.public
    assert public_key(keys.exchange, 1 - keys.sign_bit) != keys.public


@pytest.mark.parametrize("u", SMALL_ORDER)
@pytest.mark.parametrize("sign_bit", [0, 1])
def test_points_of_small_order_are_refused(u: int, sign_bit: int) -> None:
    with pytest.raises(BadKey):
        public_key(u.to_bytes(32, "little"), sign_bit)


@pytest.mark.parametrize("u", [PRIME, PRIME + 1, PRIME + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1])
def test_exchange_keys_that_are_not_reduced_are_refused(u: int) -> None:
    assert not is_canonical(u.to_bytes(32, "little"))
    with pytest.raises(BadKey):
        public_key(u.to_bytes(32, "little"), 0)


def test_a_point_of_the_twist_is_refused() -> None:
    with pytest.raises(BadKey):
        public_key((2).to_bytes(32, "little"), 0)


def test_a_point_outside_the_prime_order_group_is_refused() -> None:
    """The signing key plus the point of order two: (-x, -y), whose multiples would leak a bit of a secret."""
    public = int.from_bytes(NodeKeys.from_seed(bytes(32)).public, "little")
    sign, y = public >> 255, public & (1 << 255) - 1
    moved = (PRIME - y) | (1 - sign) << 255
    with pytest.raises(BadKey):
        exchange_key(moved.to_bytes(32, "little"))


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(33), bytes(32), b"\1" + bytes(31), b"\xff" * 32])
def test_signing_keys_that_are_none_are_refused(public: bytes) -> None:
    with pytest.raises(BadKey):
        exchange_key(public)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        NodeKeys.from_seed(bytes(31))


def test_the_secret_is_not_shown() -> None:
    keys = NodeKeys.from_seed(bytes(32))
    assert "secret" not in repr(keys)
