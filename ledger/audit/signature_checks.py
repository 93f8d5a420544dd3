"""Checks signatures beside the reading of what comes next: libsodium works without Python's lock. For `audit`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeAlias

from ledger.audit.rows import Fault, Found
from ledger.errors import BadSignature
from ledger.signing import AAD_ENTRY, verify1

MAX_THREADS: Final = 4
"""One reader can't feed more."""

CHUNK: Final = 64
"""Signatures handed over at a time: a few milliseconds of work."""

MAX_CHUNKS: Final = 4 * MAX_THREADS
"""Under way at a time; the reader waits then, so that memory stays bounded."""

Asked: TypeAlias = tuple[int, bytes, bytes, bytes]
"""Row of the entry, public key, payload, signature."""


class SignatureChecks:
    """Of entries, asked for in the order of their rows. Leaving the block ends the threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), thread_name_prefix="verify")
        self._chunk: list[Asked] = []
        self._under_way: deque[Future[Found | None]] = deque()
        self._first: Found | None = None

    def ask(self, position: int, public: bytes, payload: bytes, signature: bytes) -> None:
        """Whether the entry of that row carries a signature of `public`. Raises Found for one that was asked before."""
        self._chunk.append((position, public, payload, signature))
        if len(self._chunk) == CHUNK:
            self._hand_over()

    def finish(self) -> None:
        """Wait for all. Raises Found for the first row whose signature does not hold, again if it was raised."""
        self._hand_over()
        while self._under_way:
            self._take_answer()

    def _hand_over(self) -> None:
        self._under_way.append(self._pool.submit(_check, self._chunk))
        self._chunk = []
        if len(self._under_way) > MAX_CHUNKS:
            self._take_answer()

    def _take_answer(self) -> None:
        self._first = self._first or self._under_way.popleft().result()
        if self._first is not None:
            raise self._first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def _check(chunk: Sequence[Asked]) -> Found | None:
    for position, public, payload, signature in chunk:
        try:
            verify1(public, payload, signature, AAD_ENTRY)
        except BadSignature as error:
            return Found(Fault("entry", position, "signature", error.code, str(error)))
    return None
