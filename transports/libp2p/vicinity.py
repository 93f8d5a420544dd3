"""Multicast DNS on the networks that this machine has now: a laptop changes them, and so does a site whose router gave
it another address."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from transports.libp2p.address import PeerAddress
from transports.libp2p.mdns import FOREIGN, Surroundings, looking

RENEW_S = 15
"""How often a node that does not look around, and waits to be found, looks at its networks."""


class Vicinity:
    """start and aclose: once each."""

    def __init__(self, own: Callable[[], list[PeerAddress]]) -> None:
        """own: our own addresses, as they are now."""
        self._own = own
        self._on: list[PeerAddress] | None = None
        self._shown = False
        self._surroundings: Surroundings | None = None
        self._stack = contextlib.AsyncExitStack()
        self._renewing = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and tell what `show` wants."""
        await self.renew()
        self._keeping = asyncio.create_task(self._keep())

    async def aclose(self) -> None:
        """Silent and deaf from now on."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._surroundings = None
        await self._stack.aclose()

    def show(self, shown: bool) -> None:
        """Whether others may know that we are here."""
        self._shown = shown
        if self._surroundings is not None:
            self._surroundings.show(shown)

    async def renew(self) -> None:
        """Begin anew, deaf to what was heard so far, if our addresses are other ones than the last time."""
        async with self._renewing:
            own = self._own()
            if own == self._on:
                return
            self._surroundings, self._on = None, None
            with contextlib.suppress(*FOREIGN):  # of a network that is gone
                await self._stack.aclose()
            self._surroundings = await self._stack.enter_async_context(looking(own))
            self._on = own
            self.show(self._shown)

    async def peers(self) -> AsyncIterator[PeerAddress]:
        """As `Surroundings.peers`; nobody where multicast DNS does not work."""
        if self._surroundings is not None:
            async for address in self._surroundings.peers():
                yield address

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self.renew()
