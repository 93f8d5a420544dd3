"""Secrets in files of their own, which only their owner may read: one line of hexadecimal digits; and files written
whole.
"""

import os
import stat
from pathlib import Path

from v2xnode.errors import LocalError


def create_secret(path: Path, secret: bytes) -> None:
    """Write a new file, on the disk when this returns. Raises FileExistsError, or OSError where none can be made."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """The whole of a file that only its owner may read, or what was there before: on the disk when this returns."""
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Names in it that were made, changed or removed are so after a power cut too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_secret(path: Path, size: int) -> bytes:
    """The `size` bytes of a file. Raises LocalError for one that others may read or that is damaged, or OSError."""
    mode = stat.S_IMODE(path.stat().st_mode)
    text = path.read_text(errors="replace").strip()
    if mode & 0o077:
        raise LocalError(f"Others may read {path}: run `chmod 600 {path}`.", code="key_exposed")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != size:
        raise LocalError(f"{path} is damaged: it must hold {2 * size} hexadecimal digits.", code="key_damaged")
    return secret
