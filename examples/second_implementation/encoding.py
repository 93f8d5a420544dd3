"""Deterministic CBOR, the strict subset (docs/protocol.md, Encoding)."""

from typing import Any

import cbor2

from examples.second_implementation.keys import ProtocolError, need

MESSAGE_BYTES = 1_024
FRAME_BYTES = 4_000
DEPTH = 8
KEY_MAX = 23


def encode(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, limit: int = MESSAGE_BYTES) -> Any:
    """A value of the subset. Raises ProtocolError for everything that is not its one encoding."""
    need(len(data) <= limit, "This is too long.")
    try:
        value = cbor2.loads(data)
    except (cbor2.CBORDecodeError, RecursionError) as error:
        raise ProtocolError(f"This is no CBOR: {error}") from error
    _check(value, DEPTH)
    need(encode(value) == data, "This is not the deterministic encoding.")
    return value


def _check(value: Any, depth: int) -> None:
    need(depth >= 0, "This is nested too deeply.")
    if isinstance(value, (bool, bytes, str)):
        return
    if isinstance(value, int):
        need(-(2**63) <= value < 2**63, "This integer does not fit into 64 bits, one of them the sign.")
    elif isinstance(value, list):
        for each in value:
            _check(each, depth - 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            need(type(key) is int and 0 <= key <= KEY_MAX, "A map's keys are 0 to 23.")
            _check(each, depth - 1)
    else:
        raise ProtocolError(f"{type(value).__name__} is not in the subset.")
