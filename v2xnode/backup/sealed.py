"""A stream of bytes under a passphrase: argon2id makes the key, XSalsa20-Poly1305 (secretbox) seals it in chunks.

    file  = header chunk...
    header = "v2xnode-sealed" version(1) ops(4) mem_kib(4) salt(16) check(16), big-endian

Chunk n is sealed under the nonce n(8) last(1) 0(15): a chunk left out, put elsewhere, or missing at the end does not
open (STREAM of Hoang, Reyhanitabar, Rogaway and Vizar, 2015). The salt is new for each file, so no nonce comes twice
under one key, and the key follows from the whole header, so no field of it can be changed.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from v2xnode.entropy import Entropy
from v2xnode.errors import UsageError

CHUNK_BYTES = 64 * 1024
"""Sealed at a time: what is held in memory, whatever the size of the file."""
MIN_PASSPHRASE_CHARS = 8
"""A shorter one falls to a few graphics cards whatever is done with it."""

OPS, MEMORY_KIB = 4, 128 * 1024
"""Argon2id: half a second of a slow core, and what a computer with 512 MB can spare."""
MAX_OPS, MAX_MEMORY_KIB = 16, 512 * 1024
"""A file may not ask for more: its header is read before anything in it can be trusted."""
MIN_MEMORY_KIB = 8
"""The least of the algorithm."""

_MAGIC = b"v2xnode-sealed"
_VERSION = 1
_SALT_BYTES = _CHECK_BYTES = 16
_SEAL_BYTES = 16
_HEAD = struct.Struct(f">{len(_MAGIC)}sBII{_SALT_BYTES}s")


class Unopened(UsageError):
    """A sealed file that can't be opened: the passphrase, or the file, is not the right one."""

    code = "sealed_unopened"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one guess of the passphrase, in argon2id's passes and memory."""

    ops: int = OPS
    memory_kib: int = MEMORY_KIB


def seal(plain: Iterable[bytes], passphrase: bytes, *, entropy: Entropy, cost: Cost | None = None) -> Iterator[bytes]:
    """The sealed file of these bytes, piece by piece. Raises UsageError for a passphrase that is too short."""
    if len(passphrase.decode(errors="replace")) < MIN_PASSPHRASE_CHARS:
        raise UsageError(f"A passphrase has {MIN_PASSPHRASE_CHARS} characters or more.", code="weak_passphrase")
    spent = cost or Cost()
    head = _HEAD.pack(_MAGIC, _VERSION, spent.ops, spent.memory_kib, entropy(_SALT_BYTES))
    key, check = _keys(head, passphrase)
    yield head + check
    number, waiting = 0, b""
    for piece in plain:
        waiting += piece
        while len(waiting) > CHUNK_BYTES:
            yield _seal(key, number, waiting[:CHUNK_BYTES], last=False)
            number, waiting = number + 1, waiting[CHUNK_BYTES:]
    yield _seal(key, number, waiting, last=True)


def unseal(file: BinaryIO, passphrase: bytes) -> Iterator[bytes]:
    """The bytes that were sealed, each piece checked; only after the last is it certain that none is missing.

    Raises Unopened, with the code `not_sealed`, `unknown_version`, `wrong_passphrase`, `costs_too_much` or `damaged`.
    """
    head = file.read(_HEAD.size)
    given = file.read(_CHECK_BYTES)
    key, check = _keys(_checked(head), passphrase)
    if len(given) != _CHECK_BYTES or given != check:
        raise Unopened("The passphrase is not the one of this file.", code="wrong_passphrase")
    sealed, number = file.read(CHUNK_BYTES + _SEAL_BYTES), 0
    while sealed:
        after = file.read(CHUNK_BYTES + _SEAL_BYTES)
        yield _unseal(key, number, sealed, last=not after)
        sealed, number = after, number + 1
    if number == 0:
        raise _damaged()


def _checked(head: bytes) -> bytes:
    """The header, if this software can and may do what it asks for."""
    if len(head) != _HEAD.size or not head.startswith(_MAGIC):
        raise Unopened("This is not a backup of v2xnode.", code="not_sealed")
    _, version, ops, memory_kib, _ = _HEAD.unpack(head)
    if version != _VERSION:
        raise Unopened(f"This backup has form {version}; this software knows {_VERSION}.", code="unknown_version")
    if not 1 <= ops <= MAX_OPS or not MIN_MEMORY_KIB <= memory_kib <= MAX_MEMORY_KIB:
        raise Unopened("This file asks for more memory or time than any backup does.", code="costs_too_much")
    return head


def _keys(head: bytes, passphrase: bytes) -> tuple[bytes, bytes]:
    """The key of a file, and what shows that the passphrase is its own; both bound to every byte of the header."""
    from nacl.exceptions import RuntimeError as SodiumFailed
    from nacl.pwhash import argon2id

    _, _, ops, memory_kib, salt = _HEAD.unpack(head)
    try:
        master = argon2id.kdf(32, passphrase, salt, opslimit=ops, memlimit=memory_kib * 1024)
    except (SodiumFailed, MemoryError):
        sentence = f"This machine can't spare the {memory_kib // 1024} MiB that the passphrase's key needs."
        raise UsageError(sentence, code="no_memory") from None
    key = hashlib.blake2b(head, key=master, digest_size=32, person=b"v2xnode-key").digest()
    check = hashlib.blake2b(head, key=master, digest_size=_CHECK_BYTES, person=b"v2xnode-check").digest()
    return key, check


def _seal(key: bytes, number: int, plain: bytes, *, last: bool) -> bytes:
    from nacl.bindings import crypto_secretbox

    return crypto_secretbox(plain, _nonce(number, last), key)


def _unseal(key: bytes, number: int, sealed: bytes, *, last: bool) -> bytes:
    from nacl.bindings import crypto_secretbox_open
    from nacl.exceptions import CryptoError

    try:
        return crypto_secretbox_open(sealed, _nonce(number, last), key)
    except (CryptoError, ValueError):
        raise _damaged() from None


def _nonce(number: int, last: bool) -> bytes:
    return struct.pack(">QB15x", number, last)


def _damaged() -> Unopened:
    return Unopened("The file is damaged: a part of it was changed, moved or cut off.", code="damaged")
