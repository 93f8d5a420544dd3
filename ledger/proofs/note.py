"""Signed notes: text with lines of signature below it (C2SP signed-note, v1.0.0), read strictly.

    <text, ending in a newline>
    <an empty line>
    — <key name> <base64 of the key's id (4 bytes) and the signature>

One note has one form: base64 is canonical, lines end in a newline alone, and no key signs twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ledger.errors import BadSignature, Malformed, NotCanonical, TooLarge
from ledger.signing import Signer, verify_bytes

MAX_SIGNATURES: Final = 16
"""Of one note: as many as every reader of the form has to accept (C2SP signed-note, Format)."""

MAX_NAME_CHARS: Final = 128
"""Of a key: the longest of ours has 93 (`checkpoint.origin_of`)."""

MAX_NOTE_BYTES: Final = 8 * 1024
"""Room for a checkpoint's text and MAX_SIGNATURES with the longest names."""

KEY_ID_BYTES: Final = 4
_BASE64: Final = re.compile("[A-Za-z0-9+/]*={0,2}")
_DASH: Final = "— "
_FIRST_PRINTABLE: Final = " "
_LONGEST_SIGNATURE: Final = 256
"""Bytes. Ours have 64 or 72; others in the same note (ECDSA) a few more."""


class KeyType(IntEnum):
    """What a signature is over, as part of the key's id (C2SP signed-note, Signature types)."""

    ED25519 = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One line below a note. One that exists has the right form; raises Malformed otherwise."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES or not 0 < len(self.signature) <= _LONGEST_SIGNATURE:
            raise Malformed(f"a line of signature carries {KEY_ID_BYTES} bytes of key id and a signature")

    @property
    def line(self) -> str:
        """As it stands in a note, without the newline."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}"

    @classmethod
    def parse(cls, line: str) -> NoteSignature:
        """Of exactly this line. Raises Malformed or NotCanonical."""
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise Malformed("a line of signature is a dash, a name and base64")
        data = from_base64(encoded)
        return cls(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text and who signed it. `text` ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __bytes__(self) -> bytes:
        """The whole note, UTF-8."""
        return "\n".join([self.text, *(each.line for each in self.signatures), ""]).encode()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """The note of exactly these bytes. Raises TooLarge, Malformed or NotCanonical."""
        text, mark, below = _decoded(data).rpartition("\n\n")
        if not mark or not text or not below.endswith("\n"):
            raise Malformed("a note is a text, an empty line, and lines of signature that end in a newline")
        lines = below.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise TooLarge(f"a note has {MAX_SIGNATURES} signatures at most")
        signatures = tuple(NoteSignature.parse(each) for each in lines)
        if len({(each.name, each.key_id) for each in signatures}) < len(signatures):
            raise NotCanonical("one key stands below the note twice")
        return cls(text + "\n", signatures)

    def by(self, name: str, public: bytes, kind: KeyType) -> NoteSignature:
        """The line of that key, not verified. Raises BadSignature where there is none."""
        wanted = key_id(name, public, kind)
        found = next((each for each in self.signatures if (each.name, each.key_id) == (name, wanted)), None)
        if found is None:
            raise BadSignature(f"{name} did not sign with the key {public.hex()[:16]}…")
        return found


def sign_text(signer: Signer, name: str, text: str) -> NoteSignature:
    """An Ed25519 signature over the text."""
    return NoteSignature(name, key_id(name, signer.public, KeyType.ED25519), signer.sign(text.encode()))


def verify_text(note: Note, name: str, public: bytes) -> None:
    """Whether that key signed the text. Raises BadSignature."""
    signed = note.by(name, public, KeyType.ED25519)
    verify_bytes(public, note.text.encode(), signed.signature)


def key_id(name: str, public: bytes, kind: KeyType) -> bytes:
    """The first 4 bytes of SHA-256(name || newline || type || key)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:KEY_ID_BYTES]


def check_name(name: str) -> None:
    """Raises Malformed for what can't be a key's name."""
    printable = all(each > _FIRST_PRINTABLE and not each.isspace() and each != "+" for each in name)
    if not 0 < len(name) <= MAX_NAME_CHARS or not printable:
        raise Malformed(f"a key's name has 1 to {MAX_NAME_CHARS} characters, neither space nor plus")


def to_base64(data: bytes) -> str:
    """RFC 4648, 4."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Raises Malformed, or NotCanonical where the same bytes have another form."""
    if not _BASE64.fullmatch(text) or len(text) % 4:
        raise Malformed("not base64")
    try:
        data = base64.b64decode(text)
    except binascii.Error as error:
        raise Malformed("not base64") from error
    if to_base64(data) != text:
        raise NotCanonical("the same bytes have another base64")
    return data


def _decoded(data: bytes) -> str:
    if len(data) > MAX_NOTE_BYTES:
        raise TooLarge(f"a note has {MAX_NOTE_BYTES} bytes at most")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a note is UTF-8") from error
    if any(each < _FIRST_PRINTABLE and each != "\n" for each in text):
        raise Malformed("a note has no control characters but newlines")
    return text
