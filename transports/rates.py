"""How often one source may make us work: a token bucket each, in a table that a flood of sources can't grow."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: int
    at_ms: int


class SourceRates:
    """burst: what a source may spend at once; refill_ms: until it has one more; sources: how many are told apart.

    When the table is full of sources that have not yet recovered, all further ones share one bucket: a sender that
    forges its address gains one source more, not a thousand.
    """

    def __init__(self, *, burst: int, refill_ms: int, sources: int) -> None:
        if min(burst, refill_ms, sources) < 1:
            raise ValueError("burst, refill_ms and sources are 1 or more")
        self._burst = burst
        self._refill_ms = refill_ms
        self._sources = sources
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._crowd = _Bucket(burst, 0)

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, source: str, now_ms: int) -> bool:
        """Whether `source` may act now, which costs it a token if so."""
        bucket = self._bucket(source, now_ms)
        gained = max(0, now_ms - bucket.at_ms) // self._refill_ms
        if bucket.tokens + gained >= self._burst:
            bucket.tokens, bucket.at_ms = self._burst, now_ms
        else:
            bucket.tokens, bucket.at_ms = bucket.tokens + gained, bucket.at_ms + gained * self._refill_ms
        if not bucket.tokens:
            return False
        bucket.tokens -= 1
        return True

    def _bucket(self, source: str, now_ms: int) -> _Bucket:
        if source in self._buckets:
            self._buckets.move_to_end(source)
            return self._buckets[source]
        if len(self._buckets) >= self._sources and not self._drop_recovered(now_ms):
            return self._crowd
        bucket = self._buckets[source] = _Bucket(self._burst, now_ms)
        return bucket

    def _drop_recovered(self, now_ms: int) -> bool:
        """Forget the source heard longest ago if its bucket is full again, so that forgetting gives nothing away."""
        source, bucket = next(iter(self._buckets.items()))
        if now_ms - bucket.at_ms < self._burst * self._refill_ms:
            return False
        del self._buckets[source]
        return True
