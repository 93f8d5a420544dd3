"""Bytes that are almost right: what gets past the first checks of a decoder, where random bytes never come."""

from collections.abc import Sequence

from hypothesis import strategies as st

MOST_EDITS = 3
"""One finds a missing check, two or three its combinations; more is noise again."""

EDGES = (
    b"",
    b"\x00",
    b"\x80",
    b"\xff",
    b"\xf6",
    b"\x9f",
    b"\x5b" + b"\xff" * 8,
    b"\x9b" + b"\x7f" * 8,
    b"\xc2\x41\x01",
)
"""Heads that CBOR parsers stumble over: null, endless, enormous, a tag."""


@st.composite
def almost(draw: st.DrawFn, sound: Sequence[bytes]) -> bytes:
    """One of the sound encodings, cut, flipped, spliced or grown in up to three places."""
    data = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(1, MOST_EDITS))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(("cut", "flip", "put", "drop", "twice", "splice"))):
            case "cut":
                data = data[:at]
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
            case "put":
                data = data[:at] + draw(st.sampled_from(EDGES) | st.binary(max_size=4)) + data[at:]
            case "drop":
                data = data[:at] + data[at + draw(st.integers(1, 40)) :]
            case "twice":
                data = data[:at] + data[at : at + draw(st.integers(1, 40))] + data[at:]
            case "splice":
                data = data[:at] + draw(st.sampled_from(sound))[at:]
    return data
