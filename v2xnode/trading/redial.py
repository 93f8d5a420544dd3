"""Reaching the provider of a session again: where it was reached last, then wherever it is seen now."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from market.delivery import OwnerStop
from market.errors import Reason
from market.machine import LinkResumed
from market.terms import Resume
from v2xnode.discovery import Heard
from v2xnode.envelope import Plain
from v2xnode.errors import NodeError, Unreachable
from v2xnode.events import EventLog
from v2xnode.links import DialledLink, Links
from v2xnode.trading.books import Books
from v2xnode.trading.channel import ClientChannel
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.whereabouts import Whereabouts

Look = Callable[[], Awaitable[Sequence[Heard]]]
"""Looks around on every bearer."""


@dataclass(frozen=True, slots=True)
class Redialling:
    """How this node finds the providers of its sessions again."""

    links: Links
    events: EventLog
    books: Books
    whereabouts: Whereabouts
    look: Look

    async def resume(self, peer: bytes, request_id: bytes) -> tuple[DialledLink, bool]:
        """A new link to a session's provider, by its key; and whether the provider still knows the session.

        Raises Unreachable when it answers nowhere.
        """
        said = [Plain(Resume(request_id))]
        async for bearer, address in self._places(peer):
            try:
                link, items = await self.links.dial(bearer, address, peer, lambda _: said)
            except NodeError as problem:
                self.events.tell("redial_failed", request_id, code=problem.code, sentence=problem.sentence)
                continue
            await self.whereabouts.reached(peer, bearer, address)
            return link, not items  # a session that goes on is answered with nothing
        raise Unreachable("The provider of this session answers nowhere.")

    async def _places(self, peer: bytes) -> AsyncIterator[tuple[str, str]]:
        last = self.whereabouts.of(peer)
        if last is not None:
            yield last
        for heard in await self.look():
            place = (heard.sighting.bearer, heard.sighting.address)
            if heard.peer == peer and place != last:
                yield place


@dataclass(slots=True)
class Redial:
    """One session's: dials when it is wanted, once at a time, since dialling a dead peer lasts for several silences."""

    redialling: Redialling
    delivering: Delivering
    channel: ClientChannel
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self) -> None:
        """A link is needed; unless one is being sought already."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wanted.wait()
            await self._once()
            self._wanted.clear()

    async def _once(self) -> None:
        delivering = self.delivering
        try:
            link, known = await self.redialling.resume(delivering.peer, delivering.request_id)
        except NodeError as problem:
            self.redialling.events.tell(
                "peer_unreachable", delivering.request_id, code=problem.code, sentence=problem.sentence
            )
            return
        await self.channel.move(link)
        if known:
            delivering.post(LinkResumed())
            return
        self.channel.give_up()
        await self.redialling.books.forget_unsaid(delivering.request_id)
        delivering.post(OwnerStop(Reason.STOPPED_BY_PEER))
