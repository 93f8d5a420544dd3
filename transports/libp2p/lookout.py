"""Who is there: everybody that was configured or named by multicast DNS is asked what he shows."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable

from transports.errors import LinkLost, Malformed
from transports.identifier import unpack_announcement
from transports.interface import MAX_SIGHTINGS, Sighting
from transports.libp2p.address import InvalidAddress, PeerAddress
from transports.libp2p.lives import Lives
from transports.libp2p.vicinity import Vicinity

BEARER = "libp2p"
ASKED_AT_ONCE = 16
"""Peers in one look around, of those who answered the last time, and as many of all others, so that names of nobody
keep no turn from a peer. Each costs a connection: some 20 ms of work, where he is there."""
ASK_PARTS = 2
"""The part of a look that one peer may take of it: who does not answer is not waited for to the end."""


class Lookout:
    """Asks. `look` may run more than once at a time."""

    def __init__(
        self,
        lives: Lives,
        own: Callable[[], list[PeerAddress]],
        known: Iterable[PeerAddress],
        vicinity: Vicinity | None,
        complain: Callable[[str, Malformed], None],
    ) -> None:
        """own: our own addresses, as they are now. complain: called with a peer that keeps to no protocol."""
        self._lives = lives
        self._own = own
        self._known = tuple(known)
        self._vicinity = vicinity
        self._complain = complain
        self._answered: set[PeerAddress] = set()
        """Who did when he was asked last: as many as one look may ask."""

    async def look(self, window_ms: int) -> AsyncGenerator[Sighting, None]:
        """Ask everybody that we know of, some at a time."""
        found: asyncio.Queue[Sighting | None] = asyncio.Queue()  # bounded by MAX_SIGHTINGS
        asking = asyncio.create_task(self._ask_all(found, window_ms))
        try:
            while (sighting := await found.get()) is not None:
                yield sighting
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask_all(self, found: "asyncio.Queue[Sighting | None]", window_ms: int) -> None:
        window_s = window_ms / 1000
        familiar, others = asyncio.Semaphore(ASKED_AT_ONCE), asyncio.Semaphore(ASKED_AT_ONCE)
        own = self._own()
        asked: set[PeerAddress] = set()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(window_s), asyncio.TaskGroup() as asking:
                    async for address in self._candidates():
                        if address.peer_id == own[0].peer_id or address in asked or len(asked) >= MAX_SIGHTINGS:
                            continue
                        asked.add(address)
                        turns = familiar if address in self._answered else others
                        asking.create_task(self._ask(address, found, turns, window_s / ASK_PARTS))
        finally:
            self._answered &= asked
            found.put_nowait(None)

    async def _candidates(self) -> AsyncIterator[PeerAddress]:
        for address in self._known:
            yield address
        if self._vicinity is not None:
            await self._vicinity.renew()
            async for address in self._vicinity.peers():
                yield address

    async def _ask(
        self,
        address: PeerAddress,
        found: "asyncio.Queue[Sighting | None]",
        turns: asyncio.Semaphore,
        patience_s: float,
    ) -> None:
        async with turns:
            data = None
            self._answered.discard(address)
            with contextlib.suppress(LinkLost, InvalidAddress, TimeoutError):
                async with asyncio.timeout(patience_s):
                    data = await self._lives.do(lambda host: host.ask(address))
            if not data:
                return
            try:
                announcement = unpack_announcement(data)
            except Malformed as problem:
                self._complain(address.peer_id, problem)
                return
            self._answered.add(address)
            now_ms = int(asyncio.get_running_loop().time() * 1000)
            found.put_nowait(Sighting(BEARER, str(address), announcement, now_ms))
