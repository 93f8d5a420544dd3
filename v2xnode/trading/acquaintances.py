"""Peers that we have agreed with before, and the keys that resolve their rotating identifiers."""

from collections.abc import Mapping

from v2xnode.trading.books import Books

DOCUMENT = "acquaintances"
MAX_ACQUAINTANCES = 1_000
"""48 KB in the database. A peer forgotten is a stranger again, no more."""

_PEER_BYTES = 32
_KEY_BYTES = 16
_RECORD_BYTES = _PEER_BYTES + _KEY_BYTES


class Acquaintances:
    """Kept in the database, read once at start; newest last."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._keys: dict[bytes, bytes] = {}

    async def load(self) -> None:
        """Read them; a document that is damaged counts as none."""
        data = await self._books.get(DOCUMENT) or b""
        if len(data) % _RECORD_BYTES == 0:
            records = [data[start : start + _RECORD_BYTES] for start in range(0, len(data), _RECORD_BYTES)]
            self._keys = {record[:_PEER_BYTES]: record[_PEER_BYTES:] for record in records}

    def knows(self, peer: bytes) -> bool:
        return peer in self._keys

    @property
    def keys(self) -> Mapping[bytes, bytes]:
        """Resolving keys by peer."""
        return self._keys

    async def met(self, peer: bytes, resolving_key: bytes) -> None:
        """Remember a peer that told us its key, in place of what we had."""
        if self._keys.get(peer) == resolving_key:
            return
        self._keys.pop(peer, None)
        self._keys[peer] = resolving_key
        while len(self._keys) > MAX_ACQUAINTANCES:
            del self._keys[next(iter(self._keys))]
        await self._books.put(DOCUMENT, b"".join(peer + key for peer, key in self._keys.items()))
