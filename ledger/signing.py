"""Ed25519 signatures in the form of COSE_Sign1 (RFC 9052, 4.2; EdDSA of RFC 9053, 2.2).

The external data names the protocol and the form, so that a signature on an offer can never pass for an entry.
Checked with PyNaCl alone: libsodium refuses small-order keys, whose signatures would fit any message.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from ledger import cbor
from ledger.errors import BadSignature, Misuse

SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

AAD_ENTRY: Final = b"v2x-trade/1 entry"
AAD_REQUEST: Final = b"v2x-trade/1 request"
AAD_OFFER: Final = b"v2x-trade/1 offer"
AAD_COUNTER: Final = b"v2x-trade/1 counter"
AAD_VOUCHER: Final = b"v2x-trade/1 voucher"
AAD_ISSUERS: Final = b"v2x-trade/1 issuers"

PROTECTED: Final = bytes.fromhex("a10127")
"""The protected header {1: -8}: algorithm EdDSA."""

_CONTEXT: Final = "Signature1"
_MAX_SIGNED_BYTES: Final = 8 * cbor.MAX_BYTES
"""Room for a payload of the largest size, external data and headers."""


class Signer:
    """One node's private key. Shows its public half only."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Misuse(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        public, self._secret = crypto_sign_seed_keypair(seed)
        self.public: Final = public

    def sign(self, data: bytes) -> bytes:
        """64 bytes (RFC 8032, deterministic)."""
        return crypto_sign(data, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"Signer(public={self.public.hex()})"


def sig_structure(payload: bytes, aad: bytes) -> bytes:
    """What is signed: the Sig_structure of RFC 9052, 4.4."""
    return _before_payload(aad) + cbor.encode(payload, max_bytes=_MAX_SIGNED_BYTES)


@cache
def _before_payload(aad: bytes) -> bytes:
    """The Sig_structure up to the payload, its last item: the same for all of one form."""
    return cbor.encode([_CONTEXT, PROTECTED, aad, b""])[:-1]


def sign1(signer: Signer, payload: bytes, aad: bytes) -> bytes:
    """The 64 bytes of signature of a COSE_Sign1 with the protected header {1: -8} and no unprotected one."""
    return signer.sign(sig_structure(payload, aad))


def verify1(public: bytes, payload: bytes, signature: bytes, aad: bytes) -> None:
    """Raises BadSignature unless `signature` is of the key `public` over `payload` in the form `aad`."""
    verify_bytes(public, sig_structure(payload, aad), signature)


def verify_bytes(public: bytes, message: bytes, signature: bytes) -> None:
    """Raises BadSignature unless `signature` is of the key `public` over exactly `message` (RFC 8032)."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("a key has 32 bytes and a signature 64")
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        raise BadSignature(f"not the signature of {public.hex()[:16]}… over these bytes") from None


def cose_bytes(payload: bytes, signature: bytes) -> bytes:
    """The standard COSE_Sign1 array, untagged: [protected, {}, payload, signature]. For export."""
    return cbor.encode([PROTECTED, {}, payload, signature], max_bytes=_MAX_SIGNED_BYTES)
