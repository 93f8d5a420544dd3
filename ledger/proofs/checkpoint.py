"""What a node says of its chain at one moment: so many entries of an epoch, under this root. Signed, and cosigned.

The text is a C2SP tlog-checkpoint without extension lines, in a signed note (`ledger.note`):

    v2x-trade/1/<node, 64 hexadecimal digits>/<epoch, 16>
    <size, decimal>
    <root, base64>

The node signs it under the origin as the key's name. A witness that remembers no other history adds a cosignature/v1
(C2SP tlog-cosignature): its signature over the time and the same text, under the name `v2x-trade/1/<witness>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ledger.entry import EPOCH_BYTES, NODE_BYTES
from ledger.errors import BadSignature, Malformed, UnknownOrigin
from ledger.proofs.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from ledger.proofs.note import KeyType, Note, NoteSignature, from_base64, key_id, sign_text, to_base64, verify_text
from ledger.signing import SIGNATURE_BYTES, Signer, verify_bytes

PREFIX: Final = "v2x-trade/1/"
MAX_AT_S: Final = 2**63 - 1
"""Of a cosignature (C2SP tlog-cosignature, Format)."""

_ORIGIN: Final = re.compile(PREFIX + f"([0-9a-f]{{{2 * NODE_BYTES}}})/([0-9a-f]{{{2 * EPOCH_BYTES}}})")
_SIZE: Final = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)
_TIME_BYTES: Final = 8
_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`size` leaves under `root`, in the log called `origin`. One that exists has the right form, or raises Malformed.

    `origin` may be of any log; `place` is for ours.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or not self.origin.isprintable():
            raise Malformed("an origin is one line of printable characters")
        if not 0 <= self.size <= MAX_SIZE:
            raise Malformed("a size is from 0 to 2^63-1")
        if len(self.root) != HASH_BYTES:
            raise Malformed(f"a root has {HASH_BYTES} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise Malformed("no leaves have one root only")

    @property
    def text(self) -> str:
        """The three lines, each ending in a newline: what is signed."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"

    @property
    def place(self) -> tuple[bytes, bytes]:
        """(node, epoch). Raises UnknownOrigin for a log that is not a node's."""
        found = _ORIGIN.fullmatch(self.origin)
        if found is None:
            raise UnknownOrigin("the origin names no node and epoch")
        return bytes.fromhex(found[1]), bytes.fromhex(found[2])

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Of exactly this text. Raises Malformed or NotCanonical."""
        lines = text.split("\n")
        if len(lines) != _LINES + 1 or lines[_LINES]:
            raise Malformed("a checkpoint has three lines, and no more")
        if not _SIZE.fullmatch(lines[1]):
            raise Malformed("a size is decimal, without leading zeros")
        return cls(lines[0], int(lines[1]), from_base64(lines[2]))


def origin_of(node: bytes, epoch: bytes) -> str:
    """The log of one node in one epoch."""
    return f"{PREFIX}{node.hex()}/{epoch.hex()}"


def witness_name(node: bytes) -> str:
    """The name under which a node cosigns."""
    return PREFIX + node.hex()


def witness_of(name: str) -> bytes:
    """The node of that name. Raises UnknownOrigin."""
    node = name.removeprefix(PREFIX)
    if not re.fullmatch(f"[0-9a-f]{{{2 * NODE_BYTES}}}", node) or witness_name(bytes.fromhex(node)) != name:
        raise UnknownOrigin("the name is no node's")
    return bytes.fromhex(node)


def sign_checkpoint(signer: Signer, checkpoint: Checkpoint) -> Note:
    """The checkpoint under the signature of its node's key."""
    return Note(checkpoint.text, (sign_text(signer, checkpoint.origin, checkpoint.text),))


def open_checkpoint(note: Note, public: bytes) -> Checkpoint:
    """What the key `public`, which signs for the origin, says. Raises Malformed, NotCanonical or BadSignature."""
    checkpoint = Checkpoint.parse(note.text)
    verify_text(note, checkpoint.origin, public)
    return checkpoint


def cosign(signer: Signer, witness: bytes, checkpoint: Checkpoint, at_s: int) -> NoteSignature:
    """A witness's line: at `at_s` (seconds since 1970, UTC) this was the largest tree that it knew of the log."""
    name = witness_name(witness)
    time = at_s.to_bytes(_TIME_BYTES, "big")
    signature = signer.sign(_cosigned(checkpoint, at_s))
    return NoteSignature(name, key_id(name, signer.public, KeyType.COSIGNATURE), time + signature)


def verify_cosignature(checkpoint: Checkpoint, line: NoteSignature, public: bytes) -> int:
    """The time at which the witness's key `public` signed, in seconds since 1970. Raises BadSignature."""
    at_s = int.from_bytes(line.signature[:_TIME_BYTES], "big")
    if len(line.signature) != _TIME_BYTES + SIGNATURE_BYTES or at_s > MAX_AT_S:
        raise BadSignature("a cosignature is a time and an Ed25519 signature")
    if line.key_id != key_id(line.name, public, KeyType.COSIGNATURE):
        raise BadSignature(f"{line.name} did not cosign with the key {public.hex()[:16]}…")
    verify_bytes(public, _cosigned(checkpoint, at_s), line.signature[_TIME_BYTES:])
    return at_s


def _cosigned(checkpoint: Checkpoint, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{checkpoint.text}".encode()
