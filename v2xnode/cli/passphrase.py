"""A passphrase: typed, in a file, or in the environment; never an argument, which everybody on the machine can read."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from v2xnode.errors import UsageError

VARIABLE: Final = "V2XNODE_PASSPHRASE"
MAX_BYTES: Final = 1_024
"""Of a file: its first line is taken, and a passphrase is a line."""

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help=f"Its first line; or set {VARIABLE}. Asked for otherwise.")
]


def passphrase(file: Path | None, *, twice: bool) -> bytes:
    """twice: a new one, typed again. Raises UsageError where there is none."""
    if file is not None:
        return _demand(_first_line(file))
    if VARIABLE in os.environ:
        return _demand(os.environ[VARIABLE])
    if not sys.stdin.isatty():
        raise UsageError(f"No passphrase: use --passphrase-file or {VARIABLE}.", code="no_passphrase")
    try:
        return _demand(str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True)))
    except typer.Abort:
        raise UsageError("No passphrase was given; nothing was changed.", code="no_passphrase") from None


def _first_line(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES).split(b"\n")[0].rstrip(b"\r").decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{file} can't be read: {problem}.", code="no_passphrase") from None


def _demand(text: str) -> bytes:
    if not text:
        raise UsageError("The passphrase is empty.", code="no_passphrase")
    return text.encode()
