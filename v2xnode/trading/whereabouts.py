"""Where peers were last reached: what a client that went down dials first, to settle what it owes or is owed."""

from ledger import cbor
from ledger.errors import LedgerError
from v2xnode.trading.books import Books

DOCUMENT = "whereabouts"
MAX_PLACES = 200
"""Peers remembered, about 100 bytes each; one that is forgotten is looked for."""


class Whereabouts:
    """Kept in the database, read once at start; newest last."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._places: dict[bytes, tuple[str, str]] = {}

    async def load(self) -> None:
        """Read them; a document that is damaged counts as none."""
        try:
            found = cbor.decode(await self._books.get(DOCUMENT) or b"\x80", max_bytes=_MAX_BYTES)
        except LedgerError:
            return
        for place in found if isinstance(found, list) else []:
            match place:
                case [bytes() as peer, str() as bearer, str() as address]:
                    self._places[peer] = (bearer, address)

    def of(self, peer: bytes) -> tuple[str, str] | None:
        """Bearer and address at which a peer was reached last."""
        return self._places.get(peer)

    async def reached(self, peer: bytes, bearer: str, address: str) -> None:
        """Remember where a peer is, in place of where it was."""
        if self._places.get(peer) == (bearer, address):
            return
        self._places.pop(peer, None)
        self._places[peer] = (bearer, address)
        while len(self._places) > MAX_PLACES:
            del self._places[next(iter(self._places))]
        places = [[who, *where] for who, where in self._places.items()]
        await self._books.put(DOCUMENT, cbor.encode(places, max_bytes=_MAX_BYTES))


_MAX_BYTES = 64 * 1024
