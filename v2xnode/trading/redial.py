"""Reaching the provider of a session again: where it was reached last, then wherever it is seen now."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

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

MAX_PLACES = 6
"""Places dialled at once: neighbours whose identifiers we can't resolve are tried with the provider's key."""

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

        Where it was reached last is tried at once, and beside it wherever it is heard now. Raises Unreachable when it
        answers nowhere.
        """
        dialling: set[asyncio.Task[tuple[DialledLink, bool] | None]] = set()
        last = self.whereabouts.of(peer)
        if last is not None:
            dialling.add(asyncio.create_task(self._dial(peer, request_id, *last)))
        looking = {asyncio.create_task(self._seen(peer, last))}
        try:
            while under_way := dialling | looking:
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for places in [each.result() for each in looking & done]:
                    dialling |= {asyncio.create_task(self._dial(peer, request_id, *place)) for place in places}
                for task in dialling & done:
                    if (reached := task.result()) is not None:
                        dialling.discard(task)
                        return reached
                dialling, looking = dialling - done, looking - done
        finally:
            await _leave(dialling | looking)
        raise Unreachable("The provider of this session answers nowhere.")

    async def _dial(self, peer: bytes, request_id: bytes, bearer: str, address: str) -> tuple[DialledLink, bool] | None:
        said = [Plain(Resume(request_id))]
        try:
            link, items = await self.links.dial(bearer, address, peer, lambda _: said)
        except NodeError as problem:
            self.events.tell("redial_failed", request_id, code=problem.code, sentence=problem.sentence)
            return None
        await self.whereabouts.reached(peer, bearer, address)
        return link, not items  # a session that goes on is answered with nothing

    async def _seen(self, peer: bytes, last: tuple[str, str] | None) -> list[tuple[str, str]]:
        """Where the peer is heard, or somebody who may be the peer: the first message tells nobody else anything."""
        heard = sorted(await self.look(), key=lambda each: each.peer != peer)
        likely = [each.sighting for each in heard if each.peer in (peer, None)]
        places = [(each.bearer, each.address) for each in likely]
        return [place for place in places if place != last][:MAX_PLACES]


async def _leave(tasks: "set[asyncio.Task[Any]]") -> None:
    """Give up dialling; a link that was opened meanwhile is closed."""
    for task in tasks:
        task.cancel()
    for left in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(left, tuple):
            await left[0].aclose()


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
