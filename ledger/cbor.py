"""The one codec for everything signed or sent: deterministic CBOR (RFC 8949, 4.2.1), a strict subset of it.

Allowed: integers from -2^63 to 2^63-1, byte strings, text, arrays, maps with the integer keys 0 to 23, true and
false. One value has exactly one encoding: what `decode` accepts, `encode` gives back byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

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

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0, 0xC0
"""Major types, where they stand in a head's first byte (RFC 8949, 3.1)."""
_INFO: Final = 0x1F
_FALSE: Final = 0xF4
_TRUE: Final = 0xF5
_SHORT: Final = 24
"""Arguments below stand in the head's first byte itself."""
_RESERVED: Final = 28
"""From here on: reserved, and 31 for indefinite lengths."""
_BYTE: Final = [bytes((each,)) for each in range(256)]
_PLAIN: Final[tuple[type[Any], ...]] = (int, bytes, str, list, tuple, dict)


def encode(value: object, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The encoding of `value`; tuples count as arrays.

    Raises Unencodable for what `decode` would refuse under the same `max_bytes`.
    """
    out = bytearray()
    _put(out, value, 0, max_bytes)
    if len(out) > max_bytes:
        raise _too_large(max_bytes)
    return bytes(out)


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Value:
    """The value of exactly these bytes.

    Raises TooLarge, Malformed or NotCanonical (all the sender's fault), and nothing else.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"{len(data)} bytes are more than the limit of {max_bytes}")
    value, end = _take(data, 0, 0)
    if end != len(data):
        raise NotCanonical("bytes after the value")
    return value


def _put(out: bytearray, value: object, depth: int, max_bytes: int) -> None:
    kind = type(value)
    if kind is bytes:
        out += _head(_BYTES, len(value))  # type: ignore[arg-type]  # mypy does not follow `kind is`
        out += value  # type: ignore[arg-type]
    elif kind is int:
        out += _integer(value)  # type: ignore[arg-type]
    elif kind is str:
        text = _text(value)  # type: ignore[arg-type]
        out += _head(_TEXT, len(text)) + text
    elif kind is bool:
        out.append(_TRUE if value else _FALSE)
    elif kind is list or kind is tuple:
        out += _head(_ARRAY, len(value))  # type: ignore[arg-type]
        _put_all(out, value, depth, max_bytes)  # type: ignore[arg-type]
    elif kind is dict:
        _put_map(out, value, depth, max_bytes)  # type: ignore[arg-type]
    else:
        _put(out, _plain(value), depth, max_bytes)


def _put_all(out: bytearray, values: Iterable[object], depth: int, max_bytes: int) -> None:
    if depth == MAX_DEPTH:
        raise Unencodable(f"nested deeper than {MAX_DEPTH}")
    for each in values:
        _put(out, each, depth + 1, max_bytes)
        if len(out) > max_bytes:  # here, too: lists that hold others many times over would take for ever
            raise _too_large(max_bytes)


def _put_map(out: bytearray, value: dict[object, object], depth: int, max_bytes: int) -> None:
    for key in value:
        if type(key) is not int or not 0 <= key <= KEY_MAX:
            raise Unencodable(f"map keys are integers from 0 to {KEY_MAX}")
    out += _head(_MAP, len(value))
    _put_all(out, (each for key in sorted(value) for each in (key, value[key])), depth, max_bytes)  # type: ignore[type-var]


def _head(major: int, argument: int) -> bytes:
    if argument < _SHORT:
        return _BYTE[major | argument]
    if argument < 1 << 8:
        return _BYTE[major | _SHORT] + _BYTE[argument]
    for info, width in ((25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * width):
            return _BYTE[major | info] + argument.to_bytes(width, "big")
    raise Unencodable("integers are limited to 64 bits, signed")


def _integer(value: int) -> bytes:
    if not INT_MIN <= value <= INT_MAX:
        raise Unencodable("integers are limited to 64 bits, signed")
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Unencodable("text must be valid Unicode") from error


def _plain(value: object) -> object:
    """A value of a derived type, an enumeration's for one, as what it is derived from."""
    for base in _PLAIN:
        if isinstance(value, base):
            return base(value)
    raise Unencodable(f"{type(value).__name__} is not allowed")


def _too_large(max_bytes: int) -> Unencodable:
    return Unencodable(f"more than the limit of {max_bytes} bytes")


def _take(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value that begins at `at`, and where it ends."""
    if at >= len(data):
        raise Malformed("a value ends too early")
    first = data[at]
    if first < _SHORT:
        return first, at + 1
    at += 1
    argument = first & _INFO
    if first >= _TAG:
        return _take_simple(first), at
    if argument >= _SHORT:
        argument, at = _argument(data, at, argument)
    if first < _BYTES:
        if argument > INT_MAX:
            raise Malformed("integers are limited to 64 bits, signed")
        return (argument if first < _NEGATIVE else -1 - argument), at
    if first < _ARRAY:
        return _take_string(data, at, at + argument, first)
    if depth == MAX_DEPTH:
        raise TooLarge(f"nested deeper than {MAX_DEPTH}")
    return (_take_array if first < _MAP else _take_map)(data, at, argument, depth + 1)


def _take_simple(first: int) -> bool:
    if first not in (_FALSE, _TRUE):
        raise Malformed("tags, floats, null and other simple values are not allowed")
    return first == _TRUE


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    """What stands behind a head's first byte, and where that ends."""
    if info >= _RESERVED:
        raise NotCanonical("indefinite lengths and reserved heads are not allowed")
    width = 1 << (info - _SHORT)
    end = at + width
    if end > len(data):
        raise Malformed("a head ends too early")
    argument = int.from_bytes(data[at:end], "big")
    if argument < (_SHORT if width == 1 else 1 << (4 * width)):
        raise NotCanonical("a number is not in its shortest form")
    return argument, end


def _take_string(data: bytes, at: int, end: int, first: int) -> tuple[bytes | str, int]:
    if end > len(data):
        raise Malformed("a string ends too early")
    if first < _TEXT:
        return data[at:end], end
    try:
        return data[at:end].decode(), end
    except UnicodeDecodeError as error:
        raise Malformed("text must be valid UTF-8") from error


def _take_array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Value], int]:
    values: list[Value] = []
    for _ in range(count):
        value, at = _take(data, at, depth)
        values.append(value)
    return values, at


def _take_map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[int, Value], int]:
    values: dict[int, Value] = {}
    last = -1
    for _ in range(count):
        if at >= len(data) or data[at] > KEY_MAX:
            raise Malformed(f"map keys are integers from 0 to {KEY_MAX}")
        key = data[at]  # one byte is all of it
        if key <= last:
            raise NotCanonical("keys repeated or out of order")
        values[key], at = _take(data, at + 1, depth)
        last = key
    return values, at
