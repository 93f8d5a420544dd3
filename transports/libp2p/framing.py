"""Messages in a stream: each behind its length, an unsigned varint as multiformats writes it (7 bits a byte, lowest
first)."""

from collections.abc import Iterator

from transports.duplex.message import MAX_MESSAGE_BYTES
from transports.errors import Malformed

MAX_LENGTH_BYTES = 2
"""16,383 is more than any message has."""


def enframe(message: bytes) -> bytes:
    """The message behind its length, to be written at once."""
    length, prefix = len(message), bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + message


class Deframer:
    """Takes the bytes of a stream as they come and gives the messages in them; keeps less than one message."""

    def __init__(self) -> None:
        self._kept = bytearray()

    @property
    def amid_message(self) -> bool:
        """Whether a stream that ends now cuts a message in two."""
        return bool(self._kept)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that end in `data`. To be exhausted before more is fed. Raises Malformed for a length that no
        message has."""
        self._kept += data
        at = 0
        try:
            while (found := self._length(at)) is not None:
                length, start = found
                if start + length > len(self._kept):
                    return
                message, at = bytes(self._kept[start : start + length]), start + length
                yield message
        finally:
            del self._kept[:at]

    def _length(self, at: int) -> tuple[int, int] | None:
        """The length of the message at `at` and where it begins, once all bytes of the length are here."""
        length = 0
        for index in range(MAX_LENGTH_BYTES):
            if at + index >= len(self._kept):
                return None
            byte = self._kept[at + index]
            length |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if (index and not byte) or not 1 <= length <= MAX_MESSAGE_BYTES:
                    raise Malformed(f"a message of {length} bytes in {index + 1} bytes of length")
                return length, at + index + 1
        raise Malformed(f"a length of more than {MAX_LENGTH_BYTES} bytes")
