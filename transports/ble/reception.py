"""The centrals that connected to us, each answered by its own task."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from transports.ble.peripheral import MAX_CENTRALS, Central
from transports.ble.pipe import FragmentPipe, Octets
from transports.duplex import serve
from transports.errors import Malformed
from transports.interface import Handler

MAX_SOURCES_LOGGED = 64
"""Peers that broke the rules and were told of, once each; with changing addresses there may be any number."""

_LOG = logging.getLogger(__name__)


class Reception:
    """Takes what the peripheral brings, as long as `aclose` was not called."""

    def __init__(self, handler: Handler, octets: Octets) -> None:
        self._handler = handler
        self._octets = octets
        self._serving: dict[asyncio.Task[None], str] = {}
        self._logged: set[str] = set()
        self._closed = False
        self.changed: Callable[[], None] = lambda: None
        """Called when a central came or went."""
        self.malformed = 0
        """Centrals that broke the rules."""
        self.refused = 0
        """Centrals beyond `MAX_CENTRALS`."""

    @property
    def sources(self) -> frozenset[str]:
        """Who is connected."""
        return frozenset(self._serving.values())

    def arrived(self, central: Central) -> None:
        """Never blocks."""
        if self._closed or len(self._serving) >= MAX_CENTRALS:
            self.refused += 1
            self._run(central.aclose(), central.source)
        else:
            self._run(self._serve(central), central.source)

    async def aclose(self) -> None:
        """Stop all that is under way."""
        self._closed = True
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, central: Central) -> None:
        pipe = FragmentPipe(central, central.notify, self._octets)
        try:
            await serve(pipe, self._handler)
        except Malformed as problem:
            pipe.broken = str(problem)
        if pipe.broken is not None:
            self._tell(central.source, pipe.broken)

    def _tell(self, source: str, problem: str) -> None:
        self.malformed += 1
        if source not in self._logged and len(self._logged) < MAX_SOURCES_LOGGED:
            self._logged.add(source)
            _LOG.warning("%s does not keep to the protocol and was disconnected: %s", source, problem)

    def _run(self, work: Coroutine[Any, Any, None], source: str) -> None:
        task = asyncio.create_task(work)
        self._serving[task] = source
        task.add_done_callback(self._ran)
        self.changed()

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task, None)
        self.changed()
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "serving a BLE link failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)
