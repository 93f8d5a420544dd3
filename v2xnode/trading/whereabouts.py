"""Where peers can be reached: the last place of each on every bearer, what a session that was cut off dials first.

Best first: a bearer on which the peer has not fallen silent lately, and of those the cheapest, as the owner orders
them. Only places where a link to the peer was opened are kept here; an identifier heard in passing is anybody's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ledger import cbor
from ledger.errors import LedgerError
from v2xnode.events import EventLog
from v2xnode.trading.books import Books, LedgerRefused

DOCUMENT = "whereabouts"
MAX_PEERS = 100
"""Peers remembered; one that is forgotten is looked for."""
MAX_PLACES = 3
"""Bearers remembered for each peer."""
MAX_ADDRESS_CHARS = 160
"""Of an address that is remembered: the longest that libp2p has here."""
ILL_MS = 120_000
"""Real time for which a bearer that failed for a peer stands behind the others."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address, which means something to its bearer only."""

    bearer: str
    address: str


class Whereabouts:
    """Kept in the database, read once at start. prefer: bearers, cheapest first; link_ms: real monotonic time."""

    def __init__(self, books: Books, events: EventLog, prefer: Sequence[str], link_ms: Callable[[], int]) -> None:
        self._books = books
        self._events = events
        self._prefer = {bearer: rank for rank, bearer in enumerate(prefer)}
        self._link_ms = link_ms
        self._places: dict[bytes, dict[str, str]] = {}
        """Newest last, peers and the bearers of each."""
        self._failed_ms: dict[tuple[bytes, str], int] = {}

    async def load(self) -> None:
        """Read them; a document that is damaged counts as none."""
        try:
            found = cbor.decode(await self._books.get(DOCUMENT) or b"\x80", max_bytes=_MAX_BYTES)
        except LedgerError:
            return
        for place in found if isinstance(found, list) else []:
            match place:
                case [bytes() as peer, str() as bearer, str() as address]:
                    self._places.setdefault(peer, {})[bearer] = address

    def of(self, peer: bytes) -> list[Place]:
        """Where a peer was reached, newest first."""
        return [Place(*place) for place in reversed(self._places.get(peer, {}).items())]

    def waves(self, peer: bytes, places: Iterable[Place]) -> list[list[Place]]:
        """These places of a peer, best bearer first; those of one bearer together and in their own order."""
        ranked: dict[tuple[int, int], list[Place]] = {}
        for place in places:
            ranked.setdefault(self._rank(peer, place.bearer), []).append(place)
        return [alike for _, alike in sorted(ranked.items())]

    def _rank(self, peer: bytes, bearer: str) -> tuple[int, int]:
        """The lower the better: when it failed, if that is not long ago, then what it costs."""
        failed_ms = self._failed_ms.get((peer, bearer))
        is_ill = failed_ms is not None and self._link_ms() - failed_ms < ILL_MS
        return (failed_ms or 0) + 1 if is_ill else 0, self._prefer.get(bearer, len(self._prefer))

    def failed(self, peer: bytes, bearer: str) -> None:
        """The peer fell silent on a bearer."""
        self._failed_ms.pop((peer, bearer), None)
        self._failed_ms[peer, bearer] = self._link_ms()
        while len(self._failed_ms) > MAX_PEERS:
            del self._failed_ms[next(iter(self._failed_ms))]

    async def reached(self, peer: bytes, place: Place) -> None:
        """A link to the peer was opened here. A ledger that can't keep that is told."""
        before = self._places.pop(peer, {})
        now = dict(before)
        now.pop(place.bearer, None)
        if len(place.address) <= MAX_ADDRESS_CHARS:
            now[place.bearer] = place.address
        self._failed_ms.pop((peer, place.bearer), None)
        while len(now) > MAX_PLACES:
            del now[next(iter(now))]
        self._places[peer] = now
        while len(self._places) > MAX_PEERS:
            del self._places[next(iter(self._places))]
        if list(now.items()) != list(before.items()):
            await self._save()

    async def _save(self) -> None:
        try:
            await self._books.put(DOCUMENT, self._packed())
        except LedgerRefused as problem:
            self._events.tell("ledger_failed", code=problem.code, sentence=problem.sentence)

    def _packed(self) -> bytes:
        places = [[peer, *place] for peer, known in self._places.items() for place in known.items()]
        return cbor.encode(places, max_bytes=_MAX_BYTES)


_MAX_BYTES = 64 * 1024
