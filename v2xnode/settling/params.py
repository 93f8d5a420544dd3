"""Parameters of the owner's steps: plain values from a socket or a command line, read strictly."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ledger.store.transaction import Transaction
from v2xnode.errors import UsageError

Params: TypeAlias = Mapping[str, Any]
Step: TypeAlias = Callable[[Transaction, Params, int], dict[str, Any]]
"""(transaction, parameters, now in seconds UTC) -> what was done, as JSON. Raises NodeError or LedgerError; then
nothing was."""


def octets(params: Params, name: str, size: int) -> bytes:
    """Bytes of exactly that size, in hexadecimal. Raises UsageError."""
    try:
        value = bytes.fromhex(text(params, name, ""))
    except ValueError:
        value = b""
    if len(value) != size:
        raise UsageError(f"{name} is {2 * size} hexadecimal digits.", code="malformed")
    return value


def whole(params: Params, name: str, low: int, high: int) -> int:
    """A whole number within its bounds. Raises UsageError."""
    value = params.get(name)
    if type(value) is not int or not low <= value <= high:
        raise UsageError(f"{name} is a whole number from {low} to {high}.", code="malformed")
    return value


def text(params: Params, name: str, default: str) -> str:
    """Text. Raises UsageError."""
    value = params.get(name, default)
    if not isinstance(value, str):
        raise UsageError(f"{name} is text.", code="malformed")
    return value
