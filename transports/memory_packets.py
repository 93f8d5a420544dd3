"""What travels between the endpoints of an in-memory network."""

from dataclasses import dataclass
from enum import Enum, auto

from transports.errors import FrameTooLarge
from transports.interface import MAX_FRAME_BYTES

BEARER = "memory"
"""What an in-memory network is called unless it stands for another bearer."""

MAX_BACKOFF = 8
"""The wait before a repetition doubles up to so many times the first one."""


class Kind(Enum):
    """What a packet is."""

    REQUEST = auto()
    ANSWER = auto()
    SUBSCRIBE = auto()
    OPENING = auto()
    PUSH = auto()
    CONFIRMED_PUSH = auto()
    ACKNOWLEDGEMENT = auto()
    END = auto()
    """The acceptor pushes no more."""
    LEAVE = auto()
    """The dialer listens no more."""
    LOOK = auto()
    SEEN = auto()


@dataclass(frozen=True, slots=True)
class Packet:
    """exchange: unique in the network, chosen by the dialer; sequence: of a push within its subscription."""

    kind: Kind
    sender: str
    exchange: int
    body: bytes = b""
    sequence: int = 0


def check_size(frame: bytes) -> None:
    """Raises FrameTooLarge."""
    if len(frame) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"a frame has {MAX_FRAME_BYTES} bytes at most, not {len(frame)}")
