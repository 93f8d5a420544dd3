"""The one thread that writes: waits for the disk happen there, and never in an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ledger.errors import Closed, Full, StoreFailed
from ledger.store.ledger import Ledger, Outcome
from ledger.store.transaction import Transaction

T = TypeVar("T")

MAX_WAITING: Final = 256
"""Transactions submitted and not finished. At a few hundred commits a second on a small computer's card: a second."""

MAX_TOGETHER: Final = 64
"""Transactions in one commit. The first of them waits for the work of all: on a small computer some tens of ms."""


@dataclass(frozen=True, slots=True)
class _Job:
    fn: Callable[[Transaction], Any]
    future: Future[Any]


class Writer:
    """Owns a ledger and a thread. `with Writer(lambda: Ledger.open(...)) as writer: writer.submit(fn)`.

    Transactions run in the order of submission. What waits when the disk is free shares one commit, and is answered
    when that has returned (`Ledger.transact_all`). Leaving the block finishes what waits and closes the ledger.
    From asyncio: `await asyncio.wrap_future(writer.submit(fn))`; a waiter that is cancelled does not undo a
    transaction that has begun.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], *, max_waiting: int = MAX_WAITING) -> None:
        self._open_ledger = open_ledger
        self._places = threading.BoundedSemaphore(max_waiting)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._node = b""
        self._taking = threading.Lock()
        self._closed: Future[None] = Future()
        self.lost: Future[None] = Future()
        """Has its error when the ledger's server is gone: nothing can be written until the ledger is opened anew."""
        self.lost.set_running_or_notify_cancel()  # nobody who waits for it can end it

    def start(self) -> None:
        """Open the ledger in the new thread, and wait for it. Raises what opening raises; then nothing stays."""
        if self._thread is not None:
            raise Closed("the writer has been started already")
        opened: Future[bytes] = Future()
        thread = threading.Thread(target=self._serve, args=(opened,), name="ledger", daemon=True)
        thread.start()
        try:
            self._node = opened.result()
        except BaseException:
            thread.join()
            raise
        self._thread = thread

    @property
    def node(self) -> bytes:
        """The name of the node whose ledger this is. Raises Closed before the start."""
        if not self._node:
            raise Closed("the writer is not open")
        return self._node

    def submit(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """Queue `Ledger.transact(fn)`; the future has its result or its error.

        Raises at once, and never waits: Full when too much is waiting, Closed outside of the block.
        """
        future: Future[T] = Future()
        with self._taking:
            if self._thread is None:
                raise Closed("the writer is not open")
            if not self._places.acquire(blocking=False):
                raise Full("too many transactions are waiting for the disk")
            self._jobs.put(_Job(fn, future))
        future.add_done_callback(self._release_cancelled)
        return future

    def close(self) -> None:
        """Finish what waits, close the ledger, end the thread. Twice is once."""
        with self._taking:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()
            self._closed.result()

    def _serve(self, opened: Future[bytes]) -> None:
        try:
            ledger = self._open_ledger()
        except BaseException as error:  # noqa: BLE001  # it is raised in the thread that waits for the opening
            opened.set_exception(error)
            return
        opened.set_result(ledger.node)
        for jobs in self._batches():
            self._run(ledger, [job for job in jobs if job.future.set_running_or_notify_cancel()])
        try:
            ledger.close()
        except BaseException as error:  # noqa: BLE001  # it is raised in the thread that closes
            self._closed.set_exception(error)
        else:
            self._closed.set_result(None)

    def _batches(self) -> Iterator[Sequence[_Job]]:
        """What waits, again and again, until there is nothing more to come."""
        ended = False
        while not ended:
            taken = [self._jobs.get()]
            while taken[-1] is not None and len(taken) < MAX_TOGETHER and not self._jobs.empty():
                taken.append(self._jobs.get())
            ended = taken[-1] is None
            yield [job for job in taken if job is not None]

    def _run(self, ledger: Ledger, jobs: Sequence[_Job]) -> None:
        if not jobs:
            return
        try:
            outcomes = ledger.transact_all([job.fn for job in jobs])
        except BaseException as error:  # noqa: BLE001  # nothing of any is on the disk, which each waiter has to know
            outcomes = [Outcome(None, error)] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._places.release()
            if outcome.error is None:
                job.future.set_result(outcome.result)
            else:
                job.future.set_exception(outcome.error)
        if ledger.lost and not self.lost.done():
            self.lost.set_exception(StoreFailed("the connection to the ledger's database was lost; start again"))

    def _release_cancelled(self, future: Future[Any]) -> None:
        if future.cancelled():  # before it ran
            self._places.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
