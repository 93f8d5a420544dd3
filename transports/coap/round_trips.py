"""How long to wait for a peer before a message goes out again, learnt from its answers. Pure bookkeeping.

RFC 6298's estimator with what CoCoA (draft-ietf-core-cocoa-03) makes of it for CoAP: a strong one from messages that
were sent once, and a weak one, which counts less, from those that were repeated, of which nobody can tell which copy
was answered. RFC 7252 (4.2) knows a fixed first wait of 2 to 3 s, doubled each time, for every network on earth.

CoCoA takes every answer to a repeated message as a sign of a slow path. On a poor radio it is a sign of a loss: with
one packet in five lost each way, its waits grow until one exchange in thirty takes more than 10 s. So an answer that
comes as long after the last copy as answers usually take is taken as that copy's, and teaches nothing (RFC 6298, 3).
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from transports.coap.shelf import Shelf

MIN_WAIT_MS = 200
"""Less is not worth a repetition: a peer needs some time to sign and to write to its disk. The same as Linux's TCP."""

MAX_WAIT_MS = 8_000
"""Between two copies, however often they got lost: a peer that comes back into reach is asked within seconds. A link
that needs longer for an answer gets every message twice, which is the worst that this bound does."""

MAX_PEERS = 1_024
"""A car park's worth; of a peer that had to make room for others the first guess is good enough."""

KEEP_MS = 600_000
"""Ten periods of the slowest status (60 s). What was true of a path before that is no better than the first guess."""

FRESH_WAITS = 16
"""A wait below the first guess doubles when nothing confirmed it for so many times its length (CoCoA, 4.3.3): the
path may have become slower than all of its copies, and then no answer would tell."""

MAX_COPIES = 3
"""Answers to a message that was repeated oftener tell more of the waits between its copies than of the path."""

MAX_SAMPLE_MS = MAX_COPIES * MAX_WAIT_MS
"""No answer to so few copies comes later."""

STEADY_COPIES = 4
"""Copies that go out at the same distance before the waits begin to grow; TCP takes six for its thin streams. A trade
has a few small frames under way, where a loss is a sign of a poor radio rather than of our own crowding."""

SHORT_WAIT_MS = 1_000
"""Waits below it double, longer ones grow by a half (CoCoA, 4.3.2): a short one may be wrong by much, a long one costs
a person's patience."""


@dataclass(slots=True)
class _Estimator:
    """Mean and mean deviation of a kind of samples (RFC 6298, 2); deviations: how many of them to wait beyond it."""

    deviations: int
    mean_ms: int | None = None
    deviation_ms: int = 0

    def add(self, sample_ms: int) -> int:
        """The wait that follows from this sample and those before it.

        The first deviation is a quarter, not RFC 6298's half, since the wait is mixed with what was thought before.
        Half of the mean on top, however steady the path: at 10 kbps a receipt takes half as long again as an Alive."""
        if self.mean_ms is None:
            self.mean_ms, self.deviation_ms = sample_ms, sample_ms // 4
        else:
            self.deviation_ms += (abs(self.mean_ms - sample_ms) - self.deviation_ms) // 4
            self.mean_ms += (sample_ms - self.mean_ms) // 8
        return self.mean_ms + max(self.mean_ms // 2, self.deviations * self.deviation_ms)


class _Path:
    """What is known of the way to one peer and back."""

    def __init__(self, wait_ms: int, now_ms: int) -> None:
        self.wait_ms = wait_ms
        self.confirmed_at_ms = now_ms
        self._strong = _Estimator(deviations=4)
        self._weak = _Estimator(deviations=1)

    def add(self, heard: "Heard", now_ms: int) -> None:
        if heard.copies == 1:
            self.wait_ms += (self._strong.add(heard.after_first_ms) - self.wait_ms) // 2
        elif self._strong.mean_ms is None or 2 * heard.after_last_ms < self._strong.mean_ms:
            self.wait_ms += (self._weak.add(heard.after_first_ms) - self.wait_ms) // 4
        else:
            return
        self.confirmed_at_ms = now_ms


@dataclass(frozen=True, slots=True)
class Heard:
    """A message was answered: how long after its first and its last copy, and how many there were."""

    after_first_ms: int
    after_last_ms: int
    copies: int


class RoundTrips:
    """The waits for each peer. first_ms: the guess for one that never answered; never waits less than
    `MIN_WAIT_MS`, or than that guess where it is shorter still."""

    def __init__(self, first_ms: int) -> None:
        self._first_ms = first_ms
        self._least_ms = min(first_ms, MIN_WAIT_MS)
        self._paths: Shelf[Hashable, _Path] = Shelf(places=MAX_PEERS, keep_ms=KEEP_MS)

    def __len__(self) -> int:
        return len(self._paths)

    def wait_ms(self, peer: Hashable, now_ms: int) -> int:
        """How long to wait before the second copy of a message to `peer`, between the least wait and `MAX_WAIT_MS`."""
        path = self._paths.get(peer, now_ms)
        if path is None:
            return self._first_ms
        while path.wait_ms < self._first_ms and now_ms - path.confirmed_at_ms >= FRESH_WAITS * path.wait_ms:
            path.confirmed_at_ms += FRESH_WAITS * path.wait_ms
            path.wait_ms = min(2 * path.wait_ms, self._first_ms)
        return path.wait_ms

    def answered(self, peer: Hashable, heard: Heard, now_ms: int) -> None:
        """`peer` answered a message."""
        if not (1 <= heard.copies <= MAX_COPIES and 0 <= heard.after_last_ms <= heard.after_first_ms <= MAX_SAMPLE_MS):
            return
        wait_ms = self.wait_ms(peer, now_ms)
        path = self._paths.get(peer, now_ms) or _Path(wait_ms, now_ms)
        path.add(heard, now_ms)
        path.wait_ms = max(self._least_ms, min(path.wait_ms, MAX_WAIT_MS))
        self._paths.put(peer, path, now_ms)


def waits_ms(first_ms: int) -> Iterator[int]:
    """The waits after each copy of one message, for ever: never a shorter one after a longer, none above
    `MAX_WAIT_MS`."""
    wait_ms = min(first_ms, MAX_WAIT_MS)
    for _ in range(STEADY_COPIES):
        yield wait_ms
    while True:
        wait_ms = min(2 * wait_ms if wait_ms < SHORT_WAIT_MS else wait_ms * 3 // 2, MAX_WAIT_MS)
        yield wait_ms
