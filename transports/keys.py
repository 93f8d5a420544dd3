"""One key per node: the X25519 key of its secure links is derived from the Ed25519 key that signs for it.

Curve25519 has two forms with a birational map between them (RFC 7748 section 4.1). From the X25519 public key one gets
the Ed25519 public key back but for its sign, one bit that the handshake carries. libsodium does the conversion that
needs a curve and refuses points off it, of small order, or outside the prime-order group.
"""

from dataclasses import dataclass, field

from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from transports.errors import BadKey

KEY_BYTES = 32
_PRIME = (1 << 255) - 19
_SIGN_BIT = 1 << 255


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """What a handshake needs of our own key.

    public: Ed25519; secret and exchange: X25519 private and public; sign_bit: 0 or 1, of `public`.
    """

    public: bytes
    secret: bytes = field(repr=False)
    exchange: bytes
    sign_bit: int

    @classmethod
    def from_seed(cls, seed: bytes) -> "NodeKeys":
        """From the 32-byte Ed25519 seed (RFC 8032 section 5.1.5). Raises ValueError on another length."""
        if len(seed) != KEY_BYTES:
            raise ValueError(f"an Ed25519 seed has {KEY_BYTES} bytes")
        key = SigningKey(seed)
        public = bytes(key.verify_key)
        secret = key.to_curve25519_private_key()
        return cls(public, bytes(secret), bytes(secret.public_key), public[-1] >> 7)


def is_canonical(exchange: bytes) -> bool:
    """Whether these 32 bytes are a field element in its one reduced form, the unused top bit clear."""
    return len(exchange) == KEY_BYTES and int.from_bytes(exchange, "little") < _PRIME


def exchange_key(public: bytes) -> bytes:
    """The X25519 form of an Ed25519 public key. Raises BadKey."""
    if len(public) != KEY_BYTES or int.from_bytes(public, "little") & ~_SIGN_BIT >= _PRIME:
        raise BadKey("a public key is not a canonical Ed25519 key of 32 bytes")
    try:
        return crypto_sign_ed25519_pk_to_curve25519(public)
    except CryptoError:
        raise BadKey("a public key is not a point of the prime-order group") from None


def public_key(exchange: bytes, sign_bit: int) -> bytes:
    """The Ed25519 public key whose X25519 form is `exchange`: y = (u - 1) / (u + 1). Raises BadKey when none is."""
    if not is_canonical(exchange):
        raise BadKey("an X25519 key is not canonical")
    u = int.from_bytes(exchange, "little")
    if u == _PRIME - 1:
        raise BadKey("an X25519 key is of small order")
    y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME
    public = (y | sign_bit << 255).to_bytes(KEY_BYTES, "little")
    if exchange_key(public) != exchange:
        raise BadKey("an X25519 key does not convert back")
    return public
