"""Reaching a peer again, a session's provider above all: where it was reached, best first, and where it is heard."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from market.delivery import OwnerStop
from market.errors import Reason
from market.terms import Correspond, Resume
from v2xnode.discovery import Heard, in_fair_order
from v2xnode.entropy import Entropy
from v2xnode.envelope import Plain
from v2xnode.errors import NodeError, Unreachable
from v2xnode.events import EventLog
from v2xnode.links import DialledLink, Links, RawItems
from v2xnode.trading.books import Books
from v2xnode.trading.client_channel import ClientChannel
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.race import Race, Wave
from v2xnode.trading.whereabouts import Place, Whereabouts

MAX_SEEN = 6
"""Places of each bearer dialled that were heard just now: neighbours whose identifiers we can't resolve are tried with
the provider's key, and those who repeat the provider's have to share with them."""

Look = Callable[[], Awaitable[Sequence[Heard]]]
"""Looks around on every bearer."""
Reached = tuple[DialledLink, RawItems]


@dataclass(frozen=True, slots=True)
class Redialling:
    """How this node finds its peers again."""

    links: Links
    events: EventLog
    books: Books
    whereabouts: Whereabouts
    look: Look
    entropy: Entropy

    async def resume(self, peer: bytes, request_id: bytes, hints: Sequence[Place] = ()) -> tuple[DialledLink, bool]:
        """A new link to a session's provider, and whether the provider still knows the session. Raises Unreachable."""
        link, items = await self.reach(peer, Resume(request_id), hints)
        return link, not items  # a session that goes on is answered with nothing

    async def reach(self, peer: bytes, why: Resume | Correspond, hints: Sequence[Place] = ()) -> Reached:
        """A new link to a peer, by its key, opened with these words; and what it answered.

        Where it was reached, or may be (hints), is tried at once, a bearer after the other, and beside it wherever it
        is heard now. Raises Unreachable when it answers nowhere.
        """
        known = list(dict.fromkeys([*self.whereabouts.of(peer), *hints]))
        race = Race[Reached](_leave)
        reached = await race.run(self._waves(peer, why, known), self._seen(peer, why, frozenset(known)))
        if reached is None:
            raise Unreachable("The peer answers nowhere.")
        return reached

    def _waves(self, peer: bytes, why: Resume | Correspond, places: Iterable[Place]) -> list[Wave[Reached]]:
        waves = self.whereabouts.waves(peer, places)
        return [[partial(self._dial, peer, why, place) for place in wave] for wave in waves]

    async def _dial(self, peer: bytes, why: Resume | Correspond, place: Place) -> Reached | None:
        try:
            return await self.links.dial(place.bearer, place.address, peer, lambda _: [Plain(why)])
        except NodeError as problem:
            self.events.tell("redial_failed", why.session_id, code=problem.code, sentence=problem.sentence)
            return None

    async def _seen(self, peer: bytes, why: Resume | Correspond, known: frozenset[Place]) -> list[Wave[Reached]]:
        """Where the peer is heard, or somebody who may be the peer: the first message tells nobody else anything."""
        likely = [each for each in await self.look() if each.peer in (peer, None)]
        places = [Place(each.sighting.bearer, each.sighting.address) for each in in_fair_order(likely, self.entropy)]
        return self._waves(peer, why, _some_of_each([place for place in places if place not in known]))


def _some_of_each(places: Iterable[Place]) -> list[Place]:
    """The first `MAX_SEEN` of each bearer."""
    counted: Counter[str] = Counter()
    chosen = []
    for place in places:
        counted[place.bearer] += 1
        if counted[place.bearer] <= MAX_SEEN:
            chosen.append(place)
    return chosen


async def _leave(reached: Reached) -> None:
    await reached[0].aclose()


@dataclass(slots=True)
class Redial:
    """One session's: dials when it is wanted, once at a time, since dialling a dead peer lasts for several silences."""

    redialling: Redialling
    delivering: Delivering
    channel: ClientChannel
    hints: Sequence[Place] = ()
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
        if self.channel.bearer is not None:
            self.redialling.whereabouts.failed(delivering.peer, self.channel.bearer)
        try:
            link, known = await self.redialling.resume(delivering.peer, delivering.request_id, self.hints)
        except NodeError as problem:
            self.redialling.events.tell(
                "peer_unreachable", delivering.request_id, code=problem.code, sentence=problem.sentence
            )
            return
        if known:
            delivering.relinked(link)
            await self.redialling.whereabouts.reached(delivering.peer, Place(link.bearer, link.raw.address))
            return
        self.channel.move(link)
        self.channel.give_up()
        await self.redialling.books.forget_unsaid(delivering.request_id)
        delivering.post(OwnerStop(Reason.STOPPED_BY_PEER))
