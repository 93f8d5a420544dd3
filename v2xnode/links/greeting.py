"""The first words on a link: who can do what, and which entry of the other's chain each one holds."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from market.terms import PROTOCOL_VERSION, Hello
from transports.secure import Session
from v2xnode.envelope import FrameInvalid, Item, Place, Plain, Reading, pack, read
from v2xnode.errors import PeerError

RawItems = list[list[Any]]


@dataclass(frozen=True, slots=True)
class Greeting:
    """Our Hello, and the hash of the peer's entry that it says we hold (b"" for none)."""

    hello: Hello
    held_hash: bytes = b""

    @property
    def held(self) -> tuple[Place, bytes] | None:
        """Place and hash of that entry."""
        return next((((head.epoch, head.seq), self.held_hash) for head in self.hello.holds), None)


MakeGreeting = Callable[[bytes | None], Awaitable[Greeting]]


def read_hello(items: RawItems, session: Session, me: bytes) -> tuple[Hello, RawItems]:
    """The greeting that opens a link, and what came with it. Raises FrameInvalid, or PeerError: no common version."""
    if not items:
        raise FrameInvalid("A link opens with a greeting.")
    item = read(items[0], Reading(me, session.peer, bytes(8), None, lambda node, epoch, seq: None))
    if not isinstance(item.message, Hello):
        raise FrameInvalid("A link opens with a greeting.")
    check_versions((PROTOCOL_VERSION,), item.message.versions)
    return item.message, items[1:]


def check_versions(ours: Sequence[int], theirs: Sequence[int], spoken: int = PROTOCOL_VERSION) -> None:
    """What the handshake's prologue named is the highest that both can speak: otherwise somebody between them chose for
    them. Raises PeerError `unsupported_version` or `downgrade`."""
    if spoken not in theirs:
        raise PeerError("The two sides speak no common version of the protocol.", code="unsupported_version")
    if max(set(ours) & set(theirs)) > spoken:
        raise PeerError("Both sides speak a higher version of the protocol than this link does.", code="downgrade")


def held_in(hello: Hello) -> Place | None:
    """The newest entry of our chain that the greeter holds, as it says."""
    return next(((head.epoch, head.seq) for head in hello.holds), None)


def opening_frame(greeting: Greeting, said: Sequence[Item]) -> bytes:
    """What a link opens with, each way."""
    return pack([Plain(greeting.hello), *said], epoch=greeting.hello.epoch)
