"""A small table of things that a stranger may make us remember: bounded in number and in time."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """At most `places` values, each kept for `keep_ms` after it was put; the oldest makes room for a new one."""

    def __init__(self, *, places: int, keep_ms: int) -> None:
        self._places = places
        self._keep_ms = keep_ms
        self._values: OrderedDict[K, tuple[int, V]] = OrderedDict()

    def put(self, key: K, value: V, now_ms: int) -> None:
        """Remember `value` from now on; what stood there is replaced and its time starts anew."""
        self._values.pop(key, None)
        self._values[key] = (now_ms, value)
        self._sweep(now_ms)

    def get(self, key: K, now_ms: int) -> V | None:
        """The value, or None when it was never put, has expired or had to make room."""
        self._sweep(now_ms)
        kept = self._values.get(key)
        return None if kept is None else kept[1]

    def holds(self, key: K, now_ms: int) -> bool:
        """Whether `key` is here: tells a stored None from nothing."""
        self._sweep(now_ms)
        return key in self._values

    def pop(self, key: K) -> V | None:
        """Take the value away."""
        kept = self._values.pop(key, None)
        return None if kept is None else kept[1]

    def __len__(self) -> int:
        return len(self._values)

    def _sweep(self, now_ms: int) -> None:
        while self._values:
            put_at_ms, _ = next(iter(self._values.values()))
            if len(self._values) <= self._places and now_ms - put_at_ms < self._keep_ms:
                return
            self._values.popitem(last=False)
