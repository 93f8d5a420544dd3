"""The seam between the node and a bearer: frames in, frames out.

A bearer moves opaque frames between two processes that may be strangers. It promises no privacy, no identity and no
delivery: `transports.secure` adds the first two for every bearer alike, and the trade protocol repeats what matters.
`tests/contract/transport_contract.py` is the suite that every implementation passes.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

MAX_FRAME_BYTES = 4096
"""Largest frame in either direction: a whole IK handshake with a time-of-use offer is under 1 KiB; four times that
leaves room for a resumption that repeats several entries, and bounds what a stranger can make us hold."""

IDENTIFIER_BYTES = 5
"""2 random bytes and 3 bytes of keyed hash (see `transports.identifier`); with one byte of role and service bits the
announcement is the 6 bytes that fit a BLE advertisement."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """All that a node shows to everybody in reach: no key, no state of charge, no price, no place.

    role_bits: 0-15; service_bits: 0-15 (their meaning belongs to the node); identifier: `IDENTIFIER_BYTES` long.
    """

    role_bits: int
    service_bits: int
    identifier: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.role_bits <= 15 or not 0 <= self.service_bits <= 15:
            raise ValueError("role and service bits are 0 to 15 each")
        if len(self.identifier) != IDENTIFIER_BYTES:
            raise ValueError(f"an identifier has {IDENTIFIER_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A peer heard on a bearer, not yet known. `address` means something to that bearer only.

    heard_at_ms: monotonic milliseconds of the bearer's own clock; signal_dbm: where the radio tells it.
    """

    bearer: str
    address: str
    announcement: Announcement
    heard_at_ms: int
    signal_dbm: int | None = None


class Link(Protocol):
    """The dialer's end of a raw link. `LinkLost` ends the call, not the link: ask again, or dial anew."""

    @property
    def bearer(self) -> str: ...

    @property
    def address(self) -> str: ...

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        """Send one frame and return the answer (which may be empty).

        The acceptor may see the frame more than once and out of order with others; several requests may be under way.
        Raises LinkLost (no answer in `timeout_ms` of real time, refused, unreachable) and FrameTooLarge.
        Cancelling is safe and leaves the link usable.
        """
        ...

    def subscribe(self, frame: bytes, *, timeout_ms: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Ask for pushes with an opening frame; the iterator yields the acceptor's opening answer, then its pushes.

        Pushes are states, not a stream: a newer one may overtake or replace an older one, any may be lost or come
        twice. Entering raises LinkLost when no opening answer came in `timeout_ms`. The iterator ends or raises
        LinkLost when the acceptor ended it; silence is never an error here (the layer above watches for it).
        """
        ...

    async def aclose(self) -> None:
        """Release the link; idempotent."""
        ...


class Pusher(Protocol):
    """The acceptor's way to push to one subscribed dialer."""

    def push(self, frame: bytes, *, confirmed: bool) -> None:
        """Hand over the newest state; never blocks, keeps at most the newest frame not yet sent.

        confirmed: ask the bearer for an acknowledgement (and so learn that the dialer left). Raises FrameTooLarge.
        After the dialer left it does nothing.
        """
        ...

    @property
    def closed(self) -> bool:
        """True once the bearer knows that the dialer left."""
        ...

    def close(self) -> None:
        """Stop pushing; idempotent."""
        ...


class Handler(Protocol):
    """What a bearer does with incoming frames. `source` names the sender as the bearer sees it (for rate limits)."""

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        """The answer to a request, or None for silence (the bearer then sends nothing at all)."""
        ...

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes | None:
        """The opening answer to a subscription, after which `pusher` may be used; None refuses in silence."""
        ...


@runtime_checkable
class Transport(Protocol):
    """One bearer of one node. Everything it starts ends with the context of `serving`."""

    @property
    def name(self) -> str: ...

    def serving(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Open the bearer, answer with `handler`, and close it again with nothing left behind.

        Raises LocalTransportError when the bearer can't be opened, saying what to do.
        """
        ...

    def announce(self, announcement: Announcement | None) -> None:
        """What discovery shows from now on; None is silence (visibility `closed`)."""
        ...

    def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        """Look around for `window_ms` of real time and yield every peer heard, as it is heard, ourselves left out.

        A peer that is heard twice may be yielded twice (newer time, signal). At most `MAX_SIGHTINGS` a call.
        """
        ...

    async def dial(self, address: str) -> Link:
        """A raw link to the peer at `address` (from a sighting, or typed by a person). Raises LinkLost."""
        ...

    def counters(self) -> dict[str, int]:
        """`bytes_sent`, `bytes_received`: what this bearer carried, counted at the socket."""
        ...


MAX_SIGHTINGS = 1024
"""A car park's worth; what a flood of forged answers can make us hold in one look around."""
