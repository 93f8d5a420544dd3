"""What a running delivery hears of its peer and of its link, beside the news of its power path."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from v2xnode.envelope import FrameInvalid, Item, is_entry
from v2xnode.links import AcceptedLink, DialledLink, RawItems


@dataclass(slots=True)
class Question:
    """A frame of the client's that waits for the session's answer."""

    link: AcceptedLink
    items: RawItems
    answer: "asyncio.Future[Sequence[Item]]"

    def leave(self) -> None:
        """Nobody looks at it: entries in it will have to be said again."""
        if self.answer.done():
            return
        if any(is_entry(raw) for raw in self.items):
            self.answer.set_exception(FrameInvalid("This session takes no entries now."))
        else:
            self.answer.set_result(())


@dataclass(frozen=True, slots=True)
class Heard:
    """Items that the provider answered or pushed."""

    items: RawItems


@dataclass(frozen=True, slots=True)
class Relinked:
    """The provider was reached again and goes on with the session; the link moves with this event and not before, so
    that nothing is said on the new one that rests on the old one."""

    link: DialledLink


@dataclass(frozen=True, slots=True)
class Arrived:
    """The peer has these entries of ours."""

    digests: tuple[bytes, ...]
