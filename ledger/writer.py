"""The one thread that writes: waits for the disk happen there, and never in an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

from ledger.errors import Closed, Full
from ledger.store import Ledger
from ledger.transaction import Transaction

T = TypeVar("T")

MAX_WAITING: Final = 256
"""Transactions submitted and not finished. At a few hundred commits a second on a small computer's card: a second."""


class Writer:
    """Owns a ledger and a thread. `with Writer(lambda: Ledger.open(...)) as writer: writer.submit(fn)`.

    Transactions run in the order of submission. Leaving the block finishes what waits and closes the ledger.
    From asyncio: `await asyncio.wrap_future(writer.submit(fn))`; a waiter that is cancelled does not undo a
    transaction that has begun.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], *, max_waiting: int = MAX_WAITING) -> None:
        self._open_ledger = open_ledger
        self._places = threading.BoundedSemaphore(max_waiting)
        self._thread: ThreadPoolExecutor | None = None
        self._ledger: Ledger | None = None

    def start(self) -> None:
        """Open the ledger in the new thread, and wait for it. Raises what opening raises; then nothing stays."""
        if self._thread is not None:
            raise Closed("the writer has been started already")
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        try:
            self._ledger = thread.submit(self._open_ledger).result()
        except BaseException:
            thread.shutdown(wait=True)
            raise
        self._thread = thread

    def submit(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """Queue `Ledger.transact(fn)`; the future has its result or its error.

        Raises at once, and never waits: Full when too much is waiting, Closed outside of the block.
        """
        if self._thread is None or self._ledger is None:
            raise Closed("the writer is not open")
        if not self._places.acquire(blocking=False):
            raise Full("too many transactions are waiting for the disk")
        try:
            future = self._thread.submit(self._run, self._ledger, fn)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(self._release_cancelled)
        return future

    def close(self) -> None:
        """Finish what waits, close the ledger, end the thread. Twice is once."""
        thread, ledger = self._thread, self._ledger
        self._thread = self._ledger = None
        if thread is not None and ledger is not None:
            try:
                thread.submit(ledger.close).result()
            finally:
                thread.shutdown(wait=True)

    def _run(self, ledger: Ledger, fn: Callable[[Transaction], T]) -> T:
        try:
            return ledger.transact(fn)
        finally:
            self._places.release()

    def _release_cancelled(self, future: Future[T]) -> None:
        if future.cancelled():  # before it ran
            self._places.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
