"""Who this node is: one Ed25519 key for the node's whole life, in a file that only its owner may read."""

import hashlib
import os
import secrets
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from ledger.keys.bodies import COMMITMENT_BYTES
from ledger.signing import PUBLIC_BYTES, Signer
from v2xnode.entropy import Entropy
from v2xnode.errors import LocalError
from v2xnode.secret_file import create_secret, read_secret, replace_file

KEY_FILE = "node.key"
PUBLIC_FILE = "node.public"
"""Beside the key: the node's name, and the hash of its revocation key. Nothing in it is secret."""
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


@dataclass(frozen=True, slots=True)
class PublicFacts:
    """What stays of a node's keys when they change. revocation: hash of its offline revocation key, or empty."""

    name: bytes
    revocation: bytes = b""


def create_identity(data: Path, revocation: bytes = b"") -> Identity:
    """Make a key in `data`. revocation: see PublicFacts.

    Raises LocalError when one is there already: a lost key is a lost ledger.
    """
    path = data / KEY_FILE
    identity = Identity.from_seed(secrets.token_bytes(SEED_BYTES))
    try:
        if path.exists():
            raise FileExistsError
        write_public_facts(data, PublicFacts(identity.public, revocation))
        create_secret(path, identity.seed)
    except FileExistsError:
        raise LocalError(f"{path} exists already: this directory has an identity.", code="key_exists") from None
    return identity


def write_public_facts(data: Path, facts: PublicFacts) -> None:
    """In place of what the directory said before."""
    text = f'name = "{facts.name.hex()}"\nrevocation = "{facts.revocation.hex()}"\n'
    replace_file(data / PUBLIC_FILE, text.encode())


def load_public_facts(data: Path) -> PublicFacts | None:
    """None in a directory that does not say: its key is its first one. Raises LocalError for a damaged file."""
    path = data / PUBLIC_FILE
    try:
        said = tomllib.loads(path.read_text(errors="replace"))
        facts = PublicFacts(bytes.fromhex(said["name"]), bytes.fromhex(said["revocation"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        facts = PublicFacts(b"")
    if len(facts.name) != PUBLIC_BYTES or len(facts.revocation) not in (0, COMMITMENT_BYTES):
        raise LocalError(f"{path} is damaged: it must hold a name and a hash in hexadecimal.", code="key_damaged")
    return facts


def load_identity(data: Path) -> Identity:
    """Read the key. Raises LocalError when it is missing, unreadable, damaged, or readable by others."""
    try:
        identity = Identity.from_seed(read_secret(data / KEY_FILE, SEED_BYTES))
        facts = load_public_facts(data)
        return identity if facts is None else replace(identity, public=facts.name)
    except OSError as problem:
        raise LocalError(
            f"No key in {data}: run `v2xnode init --data {data}` first ({problem.strerror}).", code="key_missing"
        ) from None
