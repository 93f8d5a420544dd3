"""The one codec for everything signed or sent: deterministic CBOR (RFC 8949, 4.2.1), a strict subset of it.

Allowed: integers from -2^63 to 2^63-1, byte strings, text, arrays, maps with the integer keys 0 to 23, true and
false. One value has exactly one encoding: what `decode` accepts, `encode` gives back byte for byte.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import cbor2

from ledger.errors import Malformed, NotCanonical, TooLarge, Unencodable

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int, Value]"

MAX_BYTES: Final = 1024
"""The protocol's limit of one message, so that it fits the slowest bearer in a few frames."""

MAX_DEPTH: Final = 8
"""Containers within containers. The deepest message (an offer's tiers of a tariff) needs four."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
KEY_MAX: Final = 23
"""Keys up to 23 take one byte, and there the orders of RFC 7049 and RFC 8949 are the same."""

_BYTES, _TEXT, _TAG, _SIMPLE = 2, 3, 6, 7
_FALSE, _TRUE = 20, 21
_SHORT = 24  # arguments below stand in the head byte itself (RFC 8949, 3)
_RESERVED = 28  # from here on: reserved, and 31 for indefinite lengths


def encode(value: object, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The encoding of `value`; tuples count as arrays.

    Raises Unencodable for what `decode` would refuse under the same `max_bytes`.
    """
    try:
        _check(value, max_bytes)
        data = cbor2.dumps(value, canonical=True)
    except (Malformed, TooLarge) as error:
        raise Unencodable(str(error)) from None
    except (cbor2.CBORError, UnicodeEncodeError) as error:
        raise Unencodable("text must be valid Unicode") from error
    if len(data) > max_bytes:
        raise Unencodable(f"{len(data)} bytes are more than the limit of {max_bytes}")
    return data


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Value:
    """The value of exactly these bytes.

    Raises TooLarge, Malformed or NotCanonical (all the sender's fault), and nothing else.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"{len(data)} bytes are more than the limit of {max_bytes}")
    _check_heads(data)
    try:
        value: Value = cbor2.loads(data, max_depth=MAX_DEPTH + 1)
    except cbor2.CBORError as error:
        raise Malformed(f"not CBOR: {error}") from error
    _check(value, max_bytes)
    if cbor2.dumps(value, canonical=True) != data:
        raise NotCanonical("keys repeated or out of order, or bytes after the value")
    return value


def _check_heads(data: bytes) -> None:
    """Walk the heads of all items, so that cbor2 never meets a tag (its decoders run code) or an open length."""
    at = 0
    while at < len(data):
        major, info = data[at] >> 5, data[at] & 0x1F
        at += 1
        if major == _TAG or (major == _SIMPLE and info not in (_FALSE, _TRUE)):
            raise Malformed("tags, floats, null and other simple values are not allowed")
        if info >= _RESERVED:
            raise NotCanonical("indefinite lengths and reserved heads are not allowed")
        argument, at = _argument(data, at, info)
        if major in (_BYTES, _TEXT):
            at += argument
    if at > len(data):
        raise Malformed("a string ends too early")


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < _SHORT:
        return info, at
    width = 1 << (info - _SHORT)
    if at + width > len(data):
        raise Malformed("a head ends too early")
    argument = int.from_bytes(data[at : at + width], "big")
    shortest = _SHORT if width == 1 else 1 << (4 * width)
    if argument < shortest:
        raise NotCanonical("a number is not in its shortest form")
    return argument, at + width


def _check(root: object, max_items: int) -> None:
    """Types, ranges and depth. Each item takes a byte at least, hence the bound that stops self-containing values."""
    todo: list[tuple[object, int]] = [(root, 0)]
    items = 0
    while todo:
        value, depth = todo.pop()
        items += 1
        if items > max_items:
            raise TooLarge(f"more items than the limit of {max_items} bytes can hold")
        if isinstance(value, (list, tuple, dict)):
            if depth == MAX_DEPTH:
                raise TooLarge(f"nested deeper than {MAX_DEPTH}")
            if len(value) > max_items:
                raise TooLarge(f"more items than the limit of {max_items} bytes can hold")
            todo.extend((child, depth + 1) for child in _children(value))
        else:
            _check_scalar(value)


def _children(value: list[object] | tuple[object, ...] | dict[object, object]) -> list[object]:
    if not isinstance(value, dict):
        return list(value)
    for key in value:
        if type(key) is not int or not 0 <= key <= KEY_MAX:
            raise Malformed(f"map keys are integers from 0 to {KEY_MAX}")
    return list(value.values())


def _check_scalar(value: object) -> None:
    if isinstance(value, (bool, bytes, str)):
        return
    if not isinstance(value, int):
        raise Malformed(f"{type(value).__name__} is not allowed")
    if not INT_MIN <= value <= INT_MAX:
        raise Malformed("integers are limited to 64 bits, signed")
