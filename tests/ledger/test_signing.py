"""COSE_Sign1 against structures made by hand and a published vector."""

from __future__ import annotations

import pytest

from ledger import cbor
from ledger.errors import BadSignature, Misuse
from ledger.signing import (
    AAD_COUNTER,
    AAD_ENTRY,
    AAD_OFFER,
    AAD_REQUEST,
    PROTECTED,
    Signer,
    cose_bytes,
    sig_structure,
    sign1,
    verify1,
)

# eddsa-sig-01 of the COSE working group's examples: the key is the first of RFC 8032, 7.1
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
CONTENT = b"This is the content."
PUBLISHED_PROTECTED = bytes.fromhex("a201270300")
PUBLISHED = bytes.fromhex(
    "7142fd2ff96d56db85bee905a76ba1d0b7321a95c8c4d3607c5781932b7afb87"
    "11497dfa751bf40b58b3bcc32300b1487f3db34085eef013bf08f4a44d6fef0d"
)
SMALL_ORDER_KEYS = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]


def by_hand(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """RFC 9052, 4.4: ["Signature1", protected, external_aad, payload]; every length here is below 24."""
    strings = [bytes([0x40 + len(part)]) + part for part in (protected, aad, payload)]
    return b"\x84\x6aSignature1" + b"".join(strings)


def test_the_structure_by_hand_is_the_published_one_and_ours() -> None:
    signer = Signer(SEED)
    assert signer.public == PUBLIC
    assert signer.sign(by_hand(PUBLISHED_PROTECTED, b"", CONTENT)) == PUBLISHED
    assert sig_structure(CONTENT, AAD_ENTRY) == by_hand(bytes.fromhex("a10127"), b"v2x-trade/1 entry", CONTENT)


def test_a_signature_holds_for_its_key_bytes_and_form_only() -> None:
    signature = sign1(Signer(SEED), CONTENT, AAD_OFFER)
    verify1(PUBLIC, CONTENT, signature, AAD_OFFER)
    other = Signer(bytes(32)).public
    for public, payload, form in (
        (other, CONTENT, AAD_OFFER),
        (PUBLIC, CONTENT + b".", AAD_OFFER),
        (PUBLIC, CONTENT, AAD_COUNTER),
        (PUBLIC, CONTENT, b""),
    ):
        with pytest.raises(BadSignature):
            verify1(public, payload, signature, form)


@pytest.mark.parametrize("public", SMALL_ORDER_KEYS)
def test_keys_of_small_order_sign_nothing(public: bytes) -> None:
    for signature in (bytes(64), b"\x01" + bytes(63), public + bytes(32)):
        with pytest.raises(BadSignature):
            verify1(public, CONTENT, signature, AAD_ENTRY)


@pytest.mark.parametrize(("public", "signature"), [(PUBLIC[:31], PUBLISHED), (PUBLIC, PUBLISHED[:63]), (b"", b"")])
def test_wrong_lengths_are_bad_signatures(public: bytes, signature: bytes) -> None:
    with pytest.raises(BadSignature):
        verify1(public, CONTENT, signature, AAD_ENTRY)


def test_forms_differ() -> None:
    assert len({AAD_ENTRY, AAD_REQUEST, AAD_OFFER, AAD_COUNTER}) == 4


def test_the_export_is_the_standard_array() -> None:
    assert cbor.decode(cose_bytes(CONTENT, PUBLISHED)) == [PROTECTED, {}, CONTENT, PUBLISHED]


def test_a_signer_keeps_its_seed_to_itself() -> None:
    assert SEED.hex() not in repr(Signer(SEED))
    with pytest.raises(Misuse):
        Signer(SEED[:31])
