"""Frames over bearers whose packets are smaller (BLE characteristics, LoRa), as a machine without I/O.

    fragment = message number | index of this fragment | index of the last fragment | part of the frame

One byte each, so that 20-byte packets carry the largest frame. A fragment that is lost loses its frame: whoever sent
the frame repeats it. Parts of two frames can be mixed only by 256 messages within `PARTIAL_MS`, and the secure link
would refuse the result.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from transports.errors import FrameTooLarge
from transports.interface import MAX_FRAME_BYTES

HEADER_BYTES = 3
_NUMBERS = 256
_MAX_FRAGMENTS = 256

MIN_MTU = HEADER_BYTES + -(-MAX_FRAME_BYTES // _MAX_FRAGMENTS)
"""19 bytes, with which 256 fragments carry the largest frame; BLE's smallest packets have 20."""

PARTIAL_MS = 10_000
"""After it an incomplete frame is given up and a number may come again: the largest frame in 20-byte packets at
10 kbit/s takes 4 s."""

MAX_PARTIALS = 16
"""Incomplete frames at once, 64 KiB: more than a peer has under way, and all that one can make us hold."""

MAX_FINISHED = 64
"""Numbers of finished frames that are remembered so that late duplicates don't begin them anew."""


class Fragmenter:
    """Splits the frames of one direction of one link into fragments of at most `mtu` bytes, `MIN_MTU` or more."""

    def __init__(self, mtu: int, *, first_number: int = 0, longest: int = MAX_FRAME_BYTES) -> None:
        """longest: bytes of the largest frame, for bearers that put something of their own around ours."""
        self._room = mtu - HEADER_BYTES
        self._longest = longest
        if self._room * _MAX_FRAGMENTS < longest:
            least = HEADER_BYTES - (-longest // _MAX_FRAGMENTS)
            raise ValueError(f"fragments have {least} bytes or more")
        self._number = first_number % _NUMBERS

    def split(self, frame: bytes) -> list[bytes]:
        """The fragments in order; an empty frame has one. Raises FrameTooLarge."""
        if len(frame) > self._longest:
            raise FrameTooLarge(f"a frame has {self._longest} bytes at most, not {len(frame)}")
        parts = [frame[at : at + self._room] for at in range(0, len(frame), self._room)] or [b""]
        header, self._number = self._number, (self._number + 1) % _NUMBERS
        return [bytes([header, index, len(parts) - 1]) + part for index, part in enumerate(parts)]


@dataclass(slots=True)
class _Partial:
    last: int
    since_ms: int
    size: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)

    def add(self, index: int, part: bytes) -> None:
        if index not in self.parts:
            self.parts[index] = part
            self.size += len(part)

    @property
    def complete(self) -> bool:
        return len(self.parts) == self.last + 1

    def frame(self) -> bytes:
        return b"".join(self.parts[index] for index in range(self.last + 1))


class Reassembler:
    """The other end: takes fragments in any order, some twice, some never, some not ours at all."""

    def __init__(self, *, longest: int = MAX_FRAME_BYTES) -> None:
        self._longest = longest
        self._partials: OrderedDict[int, _Partial] = OrderedDict()
        self._finished: OrderedDict[int, int] = OrderedDict()
        self.dropped = 0
        """Fragments and incomplete frames that were thrown away."""

    @property
    def deadline_ms(self) -> int | None:
        """When the oldest incomplete frame is to be given up, by `expire`."""
        oldest = next(iter(self._partials.values()), None)
        return None if oldest is None else oldest.since_ms + PARTIAL_MS

    def receive(self, fragment: bytes, now_ms: int) -> bytes | None:
        """The frame that this fragment completes, once."""
        self.expire(now_ms)
        if not _well_formed(fragment) or fragment[0] in self._finished:
            self.dropped += 1
            return None
        number, index, last = fragment[:HEADER_BYTES]
        partial = self._partial(number, last, now_ms)
        partial.add(index, fragment[HEADER_BYTES:])
        if partial.size > self._longest:
            del self._partials[number]
            self.dropped += 1
        elif partial.complete:
            del self._partials[number]
            self._finish(number, now_ms)
            return partial.frame()
        return None

    def expire(self, now_ms: int) -> None:
        """Give up what is older than `PARTIAL_MS`."""
        while self._partials and now_ms - next(iter(self._partials.values())).since_ms >= PARTIAL_MS:
            self._drop_oldest()
        while self._finished and now_ms - next(iter(self._finished.values())) >= PARTIAL_MS:
            self._finished.popitem(last=False)

    def _partial(self, number: int, last: int, now_ms: int) -> _Partial:
        partial = self._partials.get(number)
        if partial is not None and partial.last == last:
            return partial
        if partial is not None:  # the number came round again: the older frame will never be complete
            del self._partials[number]
            self.dropped += 1
        partial = self._partials[number] = _Partial(last, now_ms)
        if len(self._partials) > MAX_PARTIALS:
            self._drop_oldest()
        return partial

    def _drop_oldest(self) -> None:
        self._partials.popitem(last=False)
        self.dropped += 1

    def _finish(self, number: int, now_ms: int) -> None:
        self._finished[number] = now_ms
        while len(self._finished) > MAX_FINISHED:
            self._finished.popitem(last=False)


def _well_formed(fragment: bytes) -> bool:
    return len(fragment) >= HEADER_BYTES and fragment[1] <= fragment[2]
