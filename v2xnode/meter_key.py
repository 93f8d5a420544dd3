"""The key that signs meter values for systems that know no Ed25519: ECDSA P-256, beside the node's own key.

It binds nothing by itself. A KEY entry of the node's chain says that it is this node's (`ledger.keys.bodies.MeterKey`).
"""

import secrets
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.keys.bodies import MeterKey as BoundKey
from ledger.keys.meter_key import bind_meter_key
from v2xnode.errors import LocalError
from v2xnode.secret_file import create_secret, read_secret

METER_KEY_FILE = "meter.key"
SECRET_BYTES = 32
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""SEC 2, 2.4.2."""


@dataclass(frozen=True)
class MeterKey:
    """A P-256 key. Shows its public half only."""

    _private: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def from_secret(cls, secret: bytes) -> "MeterKey":
        """secret: 32 bytes, a number from 1 to the order of the curve - 1. Raises ValueError."""
        return cls(ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()))

    @cached_property
    def point(self) -> bytes:
        """The public key as an uncompressed point, 65 bytes (SEC 1, 2.3.3)."""
        form = serialization.PublicFormat.UncompressedPoint
        return self._private.public_key().public_bytes(serialization.Encoding.X962, form)

    @cached_property
    def spki(self) -> bytes:
        """The public key in DER (RFC 5480): what verifiers of meter values take."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._private.public_key().public_bytes(serialization.Encoding.DER, form)

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 in DER; the same for the same data (RFC 6979)."""
        return self._private.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def bound_to(self, node: bytes) -> BoundKey:
        """What a KEY entry of `node` says of it, with its own word that it belongs there."""
        return bind_meter_key(self._private, node)


def create_meter_key(data: Path) -> MeterKey:
    """Make a key in `data`. Raises LocalError when one is there, or none can be made."""
    secret = (1 + secrets.randbelow(P256_ORDER - 1)).to_bytes(SECRET_BYTES, "big")
    try:
        create_secret(data / METER_KEY_FILE, secret)
    except FileExistsError:
        raise LocalError(f"{data / METER_KEY_FILE} exists already.", code="key_exists") from None
    except OSError as problem:
        raise LocalError(f"No meter key can be made in {data}: {problem.strerror}.", code="key_missing") from None
    return MeterKey.from_secret(secret)


def load_meter_key(data: Path) -> MeterKey | None:
    """The key of a data directory, None where there is none. Raises LocalError for one that can't be used."""
    path = data / METER_KEY_FILE
    try:
        return MeterKey.from_secret(read_secret(path, SECRET_BYTES))
    except FileNotFoundError:
        return None
    except ValueError:
        raise LocalError(f"{path} is damaged: its number is no P-256 key.", code="key_damaged") from None
    except OSError as problem:
        raise LocalError(f"{path} can't be read: {problem.strerror}.", code="key_missing") from None
