"""Who this node is: one Ed25519 key for the node's whole life, in a file that only its owner may read."""

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ledger.signing import Signer
from v2xnode.entropy import Entropy
from v2xnode.errors import LocalError
from v2xnode.secret_file import create_secret, read_secret

KEY_FILE = "node.key"
SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """The node's key, and its name: `public`, the first key that it had. The node id is that in hexadecimal."""

    seed: bytes = field(repr=False)
    signer: Signer = field(repr=False)
    public: bytes
    entropy: Entropy = field(default=os.urandom, repr=False, compare=False)
    """Where its fresh secrets come from: keys of links, request ids, nonces, patterns on a cable."""

    @classmethod
    def from_seed(cls, seed: bytes, entropy: Entropy = os.urandom) -> "Identity":
        """Of a node that has its first key still."""
        signer = Signer(seed)
        return cls(seed, signer, signer.public, entropy)

    @property
    def is_rotated(self) -> bool:
        """Whether another key than the first one signs."""
        return self.signer.public != self.public

    @property
    def node_id(self) -> str:
        return self.public.hex()

    @property
    def resolving_key(self) -> bytes:
        """The 16-byte key behind the rotating identifiers; its own derivation, so that giving it away gives no more."""
        return hashlib.blake2b(self.seed, digest_size=16, person=b"v2x-resolving").digest()


def short(node: bytes) -> str:
    """A node id as people compare it: the first six bytes."""
    return node.hex()[:12]


def create_identity(data: Path) -> Identity:
    """Make a key in `data`. Raises LocalError when one is there already: a lost key is a lost ledger."""
    path = data / KEY_FILE
    seed = secrets.token_bytes(SEED_BYTES)
    try:
        create_secret(path, seed)
    except FileExistsError:
        raise LocalError(f"{path} exists already: this directory has an identity.", code="key_exists") from None
    return Identity.from_seed(seed)


def load_identity(data: Path) -> Identity:
    """Read the key. Raises LocalError when it is missing, unreadable, damaged, or readable by others."""
    try:
        return Identity.from_seed(read_secret(data / KEY_FILE, SEED_BYTES))
    except OSError as problem:
        raise LocalError(
            f"No key in {data}: run `v2xnode init --data {data}` first ({problem.strerror}).", code="key_missing"
        ) from None
