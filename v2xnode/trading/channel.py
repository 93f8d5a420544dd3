"""How a session's messages reach its peer: what both roles have in common.

The client asks (`client_channel`), the provider answers and pushes (`provider_channel`). Both keep what has to arrive
until it has: entries until the peer acknowledged them, control messages until a newer one of their kind or an
acknowledgement. All waits are bounded; a link that is lost is told to the session once.
"""

from typing import Protocol, TypeVar

from v2xnode.envelope import Item, Plain
from v2xnode.errors import Unreachable
from v2xnode.links import PeerLink

MAX_OUTSTANDING = 32
"""Messages of one session that wait to be acknowledged: a trade waits for each answer, so that a few are usual."""

L = TypeVar("L")


class Channel(Protocol):
    """What a session needs of its way to the peer."""

    @property
    def link(self) -> PeerLink:
        """Raises Unreachable while there is none."""
        ...

    @property
    def bearer(self) -> str | None:
        """What carries the link; None while there is none."""
        ...

    def send(self, item: Item) -> None:
        """Bring an item to the peer; returns at once."""
        ...

    def acknowledged(self, digest: bytes) -> None:
        """The peer has answered this entry of ours."""
        ...


def there(link: L | None) -> L:
    """The link. Raises Unreachable where there is none."""
    if link is None:
        raise Unreachable("There is no link to this peer yet.")
    return link


def supersedes(new: Item, old: Item) -> bool:
    """Whether the newer one makes the older one pointless: a control message of the same kind, or the same entry."""
    both_plain = isinstance(new, Plain) and isinstance(old, Plain)
    return (both_plain and type(new.message) is type(old.message)) or (new.digest != b"" and new.digest == old.digest)
