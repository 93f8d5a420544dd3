"""Messages from the fragments of a link, which neither loses one nor changes their order."""

from transports.errors import Malformed
from transports.framing import HEADER_BYTES

_NUMBERS = 256


class Assembly:
    """One direction of one link. longest: bytes of the largest message."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._number = 0
        self._last = 0
        self._parts: list[bytes] = []
        self._size = 0

    def take(self, fragment: bytes) -> bytes | None:
        """The message that this fragment completes. Raises Malformed for any fragment but the one that comes next, and
        for too long a message: then nothing more can be made of the link."""
        if len(fragment) < HEADER_BYTES:
            raise Malformed(f"{len(fragment)} bytes are no fragment")
        number, index, last = fragment[:HEADER_BYTES]
        if not self._parts:
            self._last = last
        if (number, index, last) != (self._number, len(self._parts), self._last) or index > last:
            raise Malformed(f"fragment {index} of message {number} comes out of turn")
        self._parts.append(fragment[HEADER_BYTES:])
        self._size += len(fragment) - HEADER_BYTES
        if self._size > self._longest:
            raise Malformed(f"a message has more than {self._longest} bytes")
        if index < last:
            return None
        message = b"".join(self._parts)
        self._number, self._parts, self._size = (self._number + 1) % _NUMBERS, [], 0
        return message
