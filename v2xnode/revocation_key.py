"""The offline key that can take a stolen signing key's power away: made once, written on paper, never kept here.

On paper it is base32 (RFC 4648), the 32 bytes of its seed and three of a checksum, in fourteen groups of four.
"""

import base64
import hashlib
from dataclasses import dataclass, field

from ledger.keys.bodies import commitment_to
from ledger.signing import SEED_BYTES, Signer
from v2xnode.entropy import Entropy
from v2xnode.errors import UsageError

CHECKSUM_BYTES = 3
"""One wrong key in 16 million that a person mistyped passes; then its commitment does not fit."""
GROUP_CHARS = 4

_LOOKALIKES = str.maketrans({"0": "O", "1": "I", "8": "B", "-": "", " ": "", "\n": "", "\t": ""})


@dataclass(frozen=True, slots=True)
class RevocationKey:
    """`seed` is the secret, and nothing but paper may hold it."""

    seed: bytes = field(repr=False)

    @classmethod
    def new(cls, entropy: Entropy) -> "RevocationKey":
        return cls(entropy(SEED_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RevocationKey":
        """What a person typed, whatever the case and the gaps. Raises UsageError for a misprint."""
        letters = text.upper().translate(_LOOKALIKES)
        try:
            data = base64.b32decode(letters)
        except ValueError:
            data = b""
        seed, check = data[:SEED_BYTES], data[SEED_BYTES:]
        if len(data) != SEED_BYTES + CHECKSUM_BYTES or check != _checksum(seed):
            raise UsageError("This is not a revocation key as it was printed: look for a misprint.", code="misprint")
        return cls(seed)

    @property
    def text(self) -> str:
        """As it is printed."""
        letters = self.letters
        return "-".join(letters[at : at + GROUP_CHARS] for at in range(0, len(letters), GROUP_CHARS))

    @property
    def letters(self) -> str:
        """As a QR code carries it."""
        return base64.b32encode(self.seed + _checksum(self.seed)).decode()

    @property
    def signer(self) -> Signer:
        return Signer(self.seed)

    @property
    def commitment(self) -> bytes:
        """What the node's chain says of it, and shows to everybody."""
        return commitment_to(self.signer.public)


def _checksum(seed: bytes) -> bytes:
    return hashlib.blake2b(seed, digest_size=CHECKSUM_BYTES, person=b"v2x-revocation").digest()
