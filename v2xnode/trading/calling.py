"""Calling on peers outside of sessions: after a trade, when the owner has signed something, again until it is told."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from ledger.store.transaction import Transaction
from market.terms import Correspond
from transports.errors import TransportError
from v2xnode.errors import NodeError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.trading.books import Books, is_told_outside
from v2xnode.trading.correspondence import Correspondence
from v2xnode.trading.redial import Redialling
from v2xnode.trading.whereabouts import Place

MAX_WANTED = 100
"""Peers that wait for their turn; one too many is called on after its next trade."""


@dataclass(slots=True)
class Calling:
    """One node's: one peer after the other, since nobody waits for it. `run` is its task."""

    correspondence: Correspondence
    books: Books
    events: EventLog
    redialling: Callable[[], Redialling]
    _wanted: dict[bytes, None] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self, peer: bytes) -> None:
        """Call on this peer soon."""
        if len(self._wanted) < MAX_WANTED:
            self._wanted[peer] = None
            self._wake.set()

    async def want_unheard(self) -> bool:
        """Call on all peers that something has to be told; whether there are any."""

        def waiting(transaction: Transaction) -> list[bytes]:
            return [each.peer for each in transaction.outbox() if is_told_outside(each.signed)]

        peers = await self.books.run(waiting)
        for peer in peers:
            self.want(peer)
        return bool(peers)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                await self._call(next(iter(self._wanted)))

    async def _call(self, peer: bytes) -> None:
        """A peer that is away, or breaks the rules, is told another time."""
        del self._wanted[peer]
        redialling = self.redialling()
        try:
            link, _ = await redialling.reach(peer, Correspond())
            async with aclosing(link):
                await redialling.whereabouts.reached(peer, Place(link.bearer, link.raw.address))
                await self.correspondence.exchange(link)
        except (NodeError, TransportError) as problem:
            self.events.tell("not_told", peer=short(peer), code=problem.code, sentence=str(problem))
        else:
            self.events.tell("told", peer=short(peer))
