"""Frames that don't fit one datagram (RFC 7959), as pure bookkeeping.

A frame goes up in Block1 parts, which a Request-Tag (RFC 9175) keeps apart from another frame of the same peer; an
answer or push comes down in Block2 parts, which its ETag keeps apart from a newer one.
"""

import secrets
from collections.abc import Hashable
from dataclasses import dataclass, field

from transports.coap.packet import Block
from transports.coap.shelf import Shelf
from transports.interface import MAX_FRAME_BYTES

BLOCK_BYTES = 1_024
"""The largest block that RFC 7959 knows; with its options it stays under the 1,152 bytes of RFC 7252, 4.6."""

MAX_UPLOADS = 64
"""Frames that strangers may leave half sent: 256 KiB in all, the oldest goes first."""

UPLOAD_KEEP_MS = 60_000
"""A frame of four blocks takes seconds; whoever needs a minute for one block has given up."""

MAX_BODIES = 64
"""Large answers and pushes kept for the peer that still fetches their rest: 256 KiB in all."""

BODY_KEEP_MS = 60_000
"""As long as for the other direction."""

ETAG_BYTES = 4
"""Enough to tell the few bodies apart that are kept at a time."""


class Incomplete(Exception):
    """A part came without those before it: the sender starts over."""


class TooLarge(Exception):
    """The parts add up to more than `MAX_FRAME_BYTES`."""


class BrokenBody(Exception):
    """The parts of an answer don't fit together."""


@dataclass(frozen=True, slots=True)
class Body:
    """A whole answer or push and the tag by which the peer tells that its parts belong together."""

    frame: bytes
    etag: bytes = field(default_factory=lambda: secrets.token_bytes(ETAG_BYTES))

    @property
    def fits(self) -> bool:
        return len(self.frame) <= BLOCK_BYTES


def part_of(frame: bytes, number: int, size: int) -> tuple[bytes, Block]:
    """Part `number` of `frame` in parts of `size` bytes; empty behind the end."""
    start = number * size
    return frame[start : start + size], Block(number, start + size < len(frame), size)


class Uploads:
    """Frames that arrive in parts, by whom and for what they come (`key`)."""

    def __init__(self) -> None:
        self._partial: Shelf[Hashable, bytes] = Shelf(places=MAX_UPLOADS, keep_ms=UPLOAD_KEEP_MS)

    def add(self, key: Hashable, payload: bytes, block: Block, now_ms: int) -> bytes | None:
        """The whole frame once its last part came, None before. Raises Incomplete and TooLarge; both forget it."""
        before = b"" if block.number == 0 else self._partial.get(key, now_ms)
        self._partial.pop(key)
        if before is None or len(before) != block.offset or (block.more and len(payload) != block.size):
            raise Incomplete
        frame = before + payload
        if len(frame) > MAX_FRAME_BYTES:
            raise TooLarge
        if not block.more:
            return frame
        self._partial.put(key, frame, now_ms)
        return None


class Bodies:
    """Large answers and pushes that peers are still fetching."""

    def __init__(self) -> None:
        self._bodies: Shelf[tuple[Hashable, bytes | None], Body] = Shelf(places=2 * MAX_BODIES, keep_ms=BODY_KEEP_MS)

    def keep(self, peer: Hashable, token: bytes, body: Body, now_ms: int) -> None:
        """Keep it under the request's token, which our own dialer repeats, and as the peer's newest, for dialers that
        take a new token for each part; both are allowed."""
        self._bodies.put((peer, token), body, now_ms)
        self._bodies.put((peer, None), body, now_ms)

    def find(self, peer: Hashable, token: bytes, now_ms: int) -> Body | None:
        """What `peer` is fetching with `token`."""
        return self._bodies.get((peer, token), now_ms) or self._bodies.get((peer, None), now_ms)


class Download:
    """An answer or push that arrives in parts, one asked for after the other."""

    def __init__(self, payload: bytes, block: Block, etag: bytes | None) -> None:
        self._etag = etag
        self._frame = b""
        self.add(payload, block, etag)

    @property
    def frame(self) -> bytes:
        return self._frame

    @property
    def next(self) -> Block:
        """What to ask for."""
        return Block(len(self._frame) // self._size, False, self._size)

    def add(self, payload: bytes, block: Block, etag: bytes | None) -> None:
        """Append the next part. Raises BrokenBody when it is another one, of another body, or too much."""
        if block.offset != len(self._frame) or etag != self._etag:
            raise BrokenBody("the parts of the answer don't follow each other")
        if len(payload) != block.size if block.more else len(payload) > block.size:
            raise BrokenBody("a part of the answer has the wrong size")
        if len(self._frame) + len(payload) > MAX_FRAME_BYTES:
            raise BrokenBody(f"the answer has more than {MAX_FRAME_BYTES} bytes")
        self._frame += payload
        self._size = block.size
        self.complete = not block.more
