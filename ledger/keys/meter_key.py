"""The P-256 key that signs meter values for readers of OCMF, and its word that it belongs to a node. Pure.

The consent is a COSE_Sign1 signature (ES256: ECDSA P-256, SHA-256, r || s) of the meter's key over the deterministic
CBOR array `[node, point]` with the external data `AAD_METER_KEY`: without it a node could call another's meter its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import cbor
from ledger.errors import BadSignature
from ledger.keys.bodies import MeterKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AAD_METER_KEY: Final = b"v2x-trade/1 meter key"

PROTECTED_ES256: Final = bytes.fromhex("a10126")
"""The protected header {1: -7}: ES256 (RFC 9053, 2.1)."""

_HALF_BYTES: Final = 32


def bind_meter_key(private: EllipticCurvePrivateKey, node: bytes) -> MeterKey:
    """The body of the KEY entry that binds this key of curve P-256 to `node`."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    r, s = decode_dss_signature(private.sign(_statement(node, point), ECDSA(SHA256())))
    return MeterKey(point, r.to_bytes(_HALF_BYTES, "big") + s.to_bytes(_HALF_BYTES, "big"))


def check_meter_key(node: bytes, body: MeterKey) -> None:
    """Raises BadSignature unless the meter's key agreed to belong to `node`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    r, s = (int.from_bytes(body.consent[at : at + _HALF_BYTES], "big") for at in (0, _HALF_BYTES))
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), body.point)
        key.verify(encode_dss_signature(r, s), _statement(node, body.point), ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        raise BadSignature("the meter's key has not agreed to belong to this node") from None


def _statement(node: bytes, point: bytes) -> bytes:
    """The Sig_structure of RFC 9052, 4.4."""
    return cbor.encode(["Signature1", PROTECTED_ES256, AAD_METER_KEY, cbor.encode([node, point])])
