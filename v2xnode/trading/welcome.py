"""The strangers who have asked, and those whom the owner has said yes to while the node ran."""

from v2xnode.errors import UsageError
from v2xnode.trading.books import Books

DOCUMENT = "welcome"
MAX_WELCOME = 1_000
"""32 KB in the database; more neighbours than anybody says yes to one by one."""
MAX_ASKED = 32
"""Strangers remembered by name for the owner's answer; the newest count."""
MIN_PREFIX = 6
"""Hexadecimal digits that a person has to type of a stranger's id."""

_KEY_BYTES = 32


class Welcome:
    """Kept in the database, read once at start; newest last."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._keys: list[bytes] = []
        self._asked: dict[bytes, None] = {}

    async def load(self) -> None:
        """Read them; a document that is damaged counts as none."""
        data = await self._books.get(DOCUMENT) or b""
        if len(data) % _KEY_BYTES == 0:
            self._keys = [data[start : start + _KEY_BYTES] for start in range(0, len(data), _KEY_BYTES)]

    @property
    def keys(self) -> frozenset[bytes]:
        return frozenset(self._keys)

    def asked(self, peer: bytes) -> None:
        """A stranger has asked and waits for the owner."""
        self._asked.pop(peer, None)
        self._asked[peer] = None
        while len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    async def allow(self, name: str) -> bytes:
        """Say yes to a stranger who has asked, by how its id begins, or to anybody by the whole id.

        Raises UsageError for a name that is none's, or more than one's.
        """
        peer = self._named(name)
        self._keys = [*(key for key in self._keys if key != peer), peer][-MAX_WELCOME:]
        self._asked.pop(peer, None)
        await self._books.put(DOCUMENT, b"".join(self._keys))
        return peer

    def _named(self, name: str) -> bytes:
        if len(name) == 2 * _KEY_BYTES and set(name) <= set("0123456789abcdef"):
            return bytes.fromhex(name)
        found = [peer for peer in self._asked if peer.hex().startswith(name)] if len(name) >= MIN_PREFIX else []
        if len(found) != 1:
            raise UsageError(
                f"{name!r} names {len(found)} strangers who have asked: give more of the id, or all 64 digits.",
                code="unknown_peer",
            )
        return found[0]
