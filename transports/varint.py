"""Integers of variable length, RFC 9000 section 16, in their shortest form only."""

from transports.errors import Malformed

MAX_VARINT = (1 << 62) - 1

_LENGTHS = (1, 2, 4, 8)


def encode_varint(value: int) -> bytes:
    """The shortest encoding of `value`, 0 to `MAX_VARINT`: 1, 2, 4 or 8 bytes, the length in the top two bits."""
    for prefix, length in enumerate(_LENGTHS):
        bits = 8 * length - 2
        if 0 <= value < 1 << bits:
            return (prefix << bits | value).to_bytes(length, "big")
    raise ValueError(f"a varint is 0 to {MAX_VARINT}")


def decode_varint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """The value at `offset` and the offset behind it.

    Raises Malformed when bytes are missing, or when a shorter encoding exists: one value has one encoding, so that
    bytes can be compared in place of values.
    """
    if offset >= len(data):
        raise Malformed("a varint is missing")
    length = _LENGTHS[data[offset] >> 6]
    end = offset + length
    if end > len(data):
        raise Malformed("a varint is cut short")
    value = int.from_bytes(data[offset:end], "big") & ((1 << (8 * length - 2)) - 1)
    if len(encode_varint(value)) != length:
        raise Malformed("a varint is longer than it needs to be")
    return value, end
