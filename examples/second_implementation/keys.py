"""Keys, signatures and identifiers (docs/protocol.md, Secure link and Bearer; docs/ledger.md, An entry)."""

import hashlib
import hmac
from dataclasses import dataclass

import cbor2
import nacl.bindings
import nacl.exceptions
import nacl.signing

EXTERNAL_DATA = {1: b"v2x-trade/1 request", 2: b"v2x-trade/1 offer", 4: b"v2x-trade/1 counter"}
"""By message type; entries have one of their own."""
ENTRY_DATA = b"v2x-trade/1 entry"

_PROTECTED = b"\xa1\x01\x27"
_FIELD = 2**255 - 19


class ProtocolError(Exception):
    """The other side, or a vector, breaks a rule of the pages."""


class Unheard(ProtocolError):
    """What we said was lost or could not be read: it is to be said again, sealed anew and in full."""


def need(holds: bool, what: str) -> None:
    """Raise ProtocolError with `what` unless it holds."""
    if not holds:
        raise ProtocolError(what)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def salt_of(request_id: bytes, epoch: bytes, seq: int) -> bytes:
    """The salt of a trade's entry, which both parties can compute."""
    return hmac.digest(request_id, epoch + seq.to_bytes(8, "big"), "sha256")[:16]


def identifier(resolving_key: bytes, random: bytes) -> bytes:
    """What a sighting shows: two random bytes and three of their HMAC."""
    return random + hmac.digest(resolving_key, random, "sha256")[:3]


def _signed(payload: bytes, external: bytes) -> bytes:
    return cbor2.dumps(["Signature1", _PROTECTED, external, payload], canonical=True)


def cose_sign1(payload: bytes, signature: bytes) -> bytes:
    """The standard array, untagged."""
    return cbor2.dumps([_PROTECTED, {}, payload, signature], canonical=True)


def is_signed_by(node: bytes, payload: bytes, external: bytes, signature: bytes) -> bool:
    """Whether `node` signed it; libsodium refuses keys of small order."""
    try:
        nacl.signing.VerifyKey(node).verify(_signed(payload, external), signature)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's key, from its seed of 32 bytes."""

    seed: bytes

    @property
    def public(self) -> bytes:
        return bytes(nacl.signing.SigningKey(self.seed).verify_key)

    @property
    def sign_bit(self) -> int:
        return self.public[31] >> 7

    @property
    def scalar(self) -> bytes:
        """The X25519 secret of the secure link."""
        half = bytearray(hashlib.sha512(self.seed).digest()[:32])
        half[0] &= 248
        half[31] = half[31] & 127 | 64
        return bytes(half)

    def sign(self, payload: bytes, external: bytes) -> bytes:
        return nacl.signing.SigningKey(self.seed).sign(_signed(payload, external)).signature


def x25519_of(node: bytes) -> bytes:
    """The Noise static key of a node."""
    return nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(node)


def node_of(static: bytes, sign_bit: int, own: bytes) -> bytes:
    """The Ed25519 key behind a Noise static key. Raises ProtocolError for one that has none, or is our own."""
    u = int.from_bytes(static, "little")
    need(u < _FIELD and u + 1 != _FIELD, "This static key is not a point's canonical form.")
    y = (u - 1) * pow(u + 1, _FIELD - 2, _FIELD) % _FIELD
    node = (y | sign_bit << 255).to_bytes(32, "little")
    try:
        back = x25519_of(node)
    except (RuntimeError, nacl.exceptions.RuntimeError) as error:
        raise ProtocolError("This static key belongs to no Ed25519 key.") from error
    need(back == static, "This static key does not convert back.")
    need(node != own, "This is our own key.")
    return node


def dial_key(node: bytes, own: bytes) -> bytes:
    """The static key to dial a node by IK. Raises ProtocolError where that is no node's key, or our own."""
    try:
        static = x25519_of(node)
    except (RuntimeError, nacl.exceptions.RuntimeError) as error:
        raise ProtocolError("This is no node's key.") from error
    need(node_of(static, node[31] >> 7, own) == node, "This key does not convert back.")
    return static
