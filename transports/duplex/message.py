"""What travels on a pipe: `kind (1 byte) | number (varint) | frame`.

The dialer numbers its requests and subscriptions, from 1 in each pipe; all that belongs to one carries its number.
"""

from dataclasses import dataclass
from enum import IntEnum

from transports.errors import Malformed
from transports.interface import MAX_FRAME_BYTES
from transports.varint import decode_varint, encode_varint

MAX_NUMBER = 2**30 - 1
"""The highest of four bytes. A pipe that came so far is opened anew."""
MAX_MESSAGE_BYTES = 1 + 4 + MAX_FRAME_BYTES


class Kind(IntEnum):
    """The dialer says the first three, the acceptor the others."""

    REQUEST = 1
    SUBSCRIBE = 2
    CANCEL = 3
    """The dialer does not wait for this any more: a request's handler is stopped, a subscription ends."""
    ANSWER = 4
    PUSH = 5
    """The first of a subscription is its opening answer."""
    END = 6
    """No more pushes, or a subscription that is refused. A request that gets no answer gets no END either."""


SAID_BY_DIALER = frozenset({Kind.REQUEST, Kind.SUBSCRIBE, Kind.CANCEL})
WITHOUT_FRAME = frozenset({Kind.CANCEL, Kind.END})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of either side."""

    kind: Kind
    number: int
    frame: bytes = b""

    def encode(self) -> bytes:
        return bytes([self.kind]) + encode_varint(self.number) + self.frame


def decode(data: bytes, *, from_dialer: bool) -> Message:
    """The message of these bytes. Raises Malformed for what that side can't have said."""
    if not data:
        raise Malformed("a message is empty")
    try:
        kind = Kind(data[0])
    except ValueError:
        raise Malformed(f"a message of kind {data[0]}") from None
    if (kind in SAID_BY_DIALER) is not from_dialer:
        raise Malformed(f"{kind.name} from the wrong side")
    number, at = decode_varint(data, 1)
    if not 1 <= number <= MAX_NUMBER:
        raise Malformed(f"number {number}")
    frame = data[at:]
    if len(frame) > MAX_FRAME_BYTES or (frame and kind in WITHOUT_FRAME):
        raise Malformed(f"{kind.name} with {len(frame)} bytes")
    return Message(kind, number, frame)
