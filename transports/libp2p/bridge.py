"""py-libp2p runs on trio, the node on asyncio: a trio run in a thread of its own, and the ways across.

Every method says on which side it may be called. Nothing here knows libp2p.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

from transports.errors import LinkLost, LocalTransportError

STOP_S = 10
"""How long a run may take to end after it was cancelled; measured: 10-25 ms."""
STOPPED = "the libp2p bearer is stopped"
T = TypeVar("T")
Main = Callable[[Callable[[T], None]], Awaitable[None]]
"""What runs on the trio side until it is cancelled; it calls its argument once it is ready, with what the asyncio side
has to know."""


class BridgeStuck(LocalTransportError):
    """The trio side did not end in time. Its thread is left behind."""

    code = "libp2p_stuck"


class Bridge:
    """One trio run: started once, stopped once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Any] = self._loop.create_future()
        self._ended: asyncio.Future[Exception | None] = self._loop.create_future()
        self._stopping = False
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._thread: threading.Thread | None = None

    # The asyncio side

    async def start(self, main: Main[T]) -> T:
        """Begin; returns what `main` says when it is ready, also if it dies right after. Raises what it raised before
        it was."""
        self._thread = threading.Thread(target=self._run, args=(main,), name="libp2p", daemon=True)
        self._thread.start()
        try:
            await _first(self._ready, self._ended)
        except asyncio.CancelledError:
            await self.stop()
            raise
        if not self._ready.done():
            self._thread.join()
            raise _lone(self._ended.result() or LinkLost(STOPPED))
        said: T = self._ready.result()
        return said

    async def ended(self) -> Exception | None:
        """Wait until the run is over, and return what it died of, if it was not stopped."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """End the run, with all that is under way in it; idempotent. Raises BridgeStuck."""
        if self._thread is None:
            return
        self._stopping = True
        self.to_trio(self._scope.cancel)
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.shield(self._ended)
        except TimeoutError:
            raise BridgeStuck(f"libp2p did not stop in {STOP_S} s") from None
        self._thread.join()

    def to_trio(self, do: Callable[..., object], *args: object) -> bool:
        """Have a function called on the trio side soon, in order; it must not raise. False if the run is over."""
        if self._token is None:
            return False
        try:
            self._token.run_sync_soon(do, *args)
        except trio.RunFinishedError:
            return False
        return True

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function on the trio side. What it raises is raised here; cancelling here cancels it there,
        and waits for that. Raises LinkLost when the run ends meanwhile."""
        outcome: asyncio.Future[T] = self._loop.create_future()
        scope = trio.CancelScope()
        if not self.to_trio(self._spawn, work, scope, outcome):
            raise LinkLost(STOPPED)
        waiting = asyncio.ensure_future(_first(outcome, self._ended))
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            self.to_trio(scope.cancel)
            await waiting
            if outcome.done() and not outcome.cancelled():
                outcome.exception()  # looked at, so that asyncio does not complain: nobody waits for it any more
            raise
        if not outcome.done():
            raise LinkLost(STOPPED)
        return outcome.result()

    # The trio side

    def to_asyncio(self, do: Callable[..., object], *args: object) -> None:
        """Have a function called on the asyncio side soon, in order."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: then nobody waits there
            self._loop.call_soon_threadsafe(do, *args)

    def spawn(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run a coroutine function beside `main`, until the run ends. What it raises ends the run."""
        if self._nursery is None:
            raise RuntimeError("only what runs on the trio side may spawn there")
        self._nursery.start_soon(work, *args)

    def _spawn(self, work: Callable[[], Awaitable[T]], scope: trio.CancelScope, outcome: asyncio.Future[T]) -> None:
        if self._nursery is None or self._nursery.cancel_scope.cancel_called:
            self.to_asyncio(_fail, outcome, LinkLost(STOPPED))
        else:
            self._nursery.start_soon(self._call, work, scope, outcome)

    async def _call(
        self, work: Callable[[], Awaitable[T]], scope: trio.CancelScope, outcome: asyncio.Future[T]
    ) -> None:
        tell: tuple[Any, ...] = (_fail, outcome, LinkLost(STOPPED))
        try:
            with scope:
                tell = (_succeed, outcome, await work())
        except Exception as problem:  # noqa: BLE001 - it is raised on the other side
            tell = (_fail, outcome, problem)
        finally:
            self.to_asyncio(*tell)

    def _run(self, main: Main[Any]) -> None:
        """The thread."""
        problem: Exception | None = None
        try:
            trio.run(self._root, main, restrict_keyboard_interrupt_to_checkpoints=True)
        except Exception as error:  # noqa: BLE001 - whoever supervises the run decides
            problem = error
        finally:
            self.to_asyncio(_succeed, self._ended, problem)

    async def _root(self, main: Main[Any]) -> None:
        self._token = trio.lowlevel.current_trio_token()
        if self._stopping:  # before there was a token
            return
        with self._scope:
            async with trio.open_nursery() as self._nursery:
                await main(lambda said: self.to_asyncio(_succeed, self._ready, said))
                self._nursery.cancel_scope.cancel()


def _lone(problem: Exception) -> Exception:
    """What nurseries wrapped on its way."""
    while isinstance(problem, ExceptionGroup) and len(problem.exceptions) == 1:
        problem = problem.exceptions[0]
    return problem


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], problem: Exception) -> None:
    if not future.done():
        future.set_exception(problem)
