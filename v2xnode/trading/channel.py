"""How a session's messages reach its peer, for each role: the client asks, the provider answers and pushes.

Both keep what has to arrive until it has: entries until the peer acknowledged them, control messages until a newer
one of their kind or an acknowledgement. All waits are bounded; a link that is lost is told to the session once.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from market.terms import Alive, PowerState, Status
from transports.errors import TransportError
from v2xnode.envelope import FrameInvalid, Item, Link, Plain, fitting, in_full
from v2xnode.errors import Unreachable
from v2xnode.events import EventLog
from v2xnode.links import AcceptedLink, DialledLink, PeerLink, RawItems

MAX_OUTSTANDING = 32
"""Messages of one session that wait to be acknowledged: a trade waits for each answer, so that a few are usual."""
ASK_AGAIN_MS = 300
"""Real time before a frame whose answer got lost is sent again in a new record."""
MAX_ALIVES = 4
"""Signs of life under way at once; an older one is worth nothing any more."""
MAX_LOST_IN_A_ROW = 3
"""Unanswered frames after which the link counts as lost."""

DRAIN_MS = 10_000
"""Real time for the last words of a session that ended: one exchange's, so that a peer that left holds up nobody."""
DRAIN_AGAIN_MS = 30_000
"""The same where nobody waits for it, after a restart: the peer has to be found first."""


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


@dataclass(slots=True)
class _Outstanding:
    item: Item
    pushed_with: int | None = None


def _there(link: L | None) -> L:
    if link is None:
        raise Unreachable("There is no link to this peer yet.")
    return link


def _supersedes(new: Item, old: Item) -> bool:
    """Whether the newer one makes the older one pointless: a control message of the same kind, or the same entry."""
    both_plain = isinstance(new, Plain) and isinstance(old, Plain)
    return (both_plain and type(new.message) is type(old.message)) or (new.digest != b"" and new.digest == old.digest)


class ProviderChannel:
    """The acceptor's end: answers what is being asked, and pushes the session's state with all that is outstanding.

    link: None until the client of a session from before a restart is back.
    """

    def __init__(self, link: AcceptedLink | None) -> None:
        self._link = link
        self._outstanding: list[_Outstanding] = []
        self._answer: list[Item] | None = None
        self._status = Status(number=0, delivered_wh=0, power_w=0, state=PowerState.OFF)

    @property
    def link(self) -> AcceptedLink:
        """Raises Unreachable while there is none."""
        return _there(self._link)

    @property
    def bearer(self) -> str | None:
        return None if self._link is None else self._link.bearer

    def move(self, link: AcceptedLink) -> bool:
        """Go on over another link of the same peer, if it is a later one: a frame of an earlier one is late, or was
        held back. What was pushed over the last link need not have come. Whether it took the place of one."""
        last = self._link
        if last is link or (last is not None and last.number > link.number):
            return False
        self._link = link
        for each in self._outstanding:
            each.pushed_with = None
        if last is not None:
            last.end()
        return last is not None

    def begin_answer(self) -> None:
        """From now on what is sent belongs to the answer of a question."""
        self._answer = []

    def end_answer(self) -> Sequence[Item]:
        """The answer's items, at most what a frame holds; the rest is pushed."""
        answer, self._answer = self._answer or [], None
        return fitting(answer)

    def send(self, item: Item) -> None:
        self._outstanding = [each for each in self._outstanding if not _supersedes(item, each.item)]
        self._outstanding = [*self._outstanding[-MAX_OUTSTANDING + 1 :], _Outstanding(item)]
        if self._answer is None:
            self.push(confirmed=True)
        else:
            self._answer.append(item)
            self._outstanding[-1].item = in_full(item)

    def push_status(self, status: Status) -> None:
        """The newest state, with what is outstanding."""
        self._status = status
        self.push(confirmed=bool(self._outstanding))

    def push(self, *, confirmed: bool) -> None:
        """Push state and outstanding items to a subscribed client."""
        if self._link is not None and self._link.is_subscribed:
            self._link.push(self.state_items(), confirmed=confirmed)

    def state_items(self) -> list[Item]:
        """The session's state as one frame. What does not fit into it has not been shown, and waits."""
        state = fitting([Plain(self._status), *(each.item for each in self._outstanding)])
        for each in self._outstanding[: len(state) - 1]:
            each.item = in_full(each.item)
            if each.pushed_with is None:
                each.pushed_with = self._status.number
        return state

    def acknowledged(self, digest: bytes) -> None:
        self._outstanding = [each for each in self._outstanding if each.item.digest != digest or not digest]

    def heard_alive(self, alive: Alive) -> list[bytes]:
        """A client that has seen a later Status has seen what came with the earlier ones; the entries among them. One
        that names a Status which we have not said yet means one of before a restart."""
        if alive.status_number > self._status.number:
            return []
        seen = [each for each in self._outstanding if _seen(each, alive.status_number)]
        self._outstanding = [each for each in self._outstanding if each not in seen]
        return [each.item.digest for each in seen if isinstance(each.item, Link)]


def _seen(outstanding: _Outstanding, status_number: int) -> bool:
    return outstanding.pushed_with is not None and status_number > outstanding.pushed_with


class ClientChannel:
    """The dialer's end: one task asks with whatever is outstanding, another listens to pushes. Signs of life are asked
    beside them, each by itself: behind a lost frame they would come too late to be any.

    link: None until the provider of a session from before a restart is reached.
    """

    def __init__(
        self,
        link: DialledLink | None,
        events: EventLog,
        hear: Callable[[RawItems], None],
        arrived: Callable[[Sequence[Link]], None],
        lost: Callable[[], None],
    ) -> None:
        self._link = link
        self._events = events
        self._hear = hear
        self._arrived = arrived
        self._lost = lost
        self._outstanding: list[Item] = []
        self._retired: list[DialledLink] = []
        self._group: asyncio.TaskGroup | None = None
        self._alives: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._resubscribe = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def link(self) -> DialledLink:
        """Raises Unreachable while there is none."""
        return _there(self._link)

    @property
    def bearer(self) -> str | None:
        return None if self._link is None else self._link.bearer

    def send(self, item: Item) -> None:
        if isinstance(item.message, Alive) and self._group is not None:
            if self._link is not None:
                self._say_alive(self._group, self._link, item)
            return
        kept = [each for each in self._outstanding if not _supersedes(item, each)]
        self._outstanding = [*kept[-MAX_OUTSTANDING + 1 :], item]
        self._idle.clear()
        self._wake.set()

    def acknowledged(self, digest: bytes) -> None:
        if digest:
            self._outstanding = [each for each in self._outstanding if each.digest != digest]

    def resubscribe(self) -> None:
        """Subscribe again on the link at hand."""
        self._resubscribe.set()

    def move(self, link: DialledLink) -> None:
        """Go on over another link, at once; what is outstanding is sent there, and what the last one still brings of
        the provider's state counts no more."""
        if self._link is not None:
            self._retired.append(self._link)
        self._link = link
        if self._group is not None:
            self._group.create_task(self._close_retired())
        self._resubscribe.set()
        self._wake.set()

    def give_up(self) -> None:
        """The peer does not know this session: nothing has to reach it."""
        self._outstanding = []
        self._wake.set()

    async def drained(self, wait_ms: int = DRAIN_MS) -> None:
        """Wait until nothing is outstanding, or the peer has been given time enough to take it."""
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._idle.wait()
        except TimeoutError:
            self._events.tell("undelivered", items=len(self._outstanding))

    async def run(self) -> None:
        """Ask and listen until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._ask_on())
                group.create_task(self._listen_on())
        finally:
            self._group = None
            await self._close_retired()
            if self._link is not None:
                await self._link.aclose()

    async def _close_retired(self) -> None:
        while self._retired:
            link = self._retired[0]
            await link.aclose()
            if link in self._retired:
                self._retired.remove(link)

    def _say_alive(self, group: asyncio.TaskGroup, link: DialledLink, item: Item) -> None:
        under_way = [each for each in self._alives if not each.done()]
        for old in under_way[: max(0, len(under_way) - MAX_ALIVES + 1)]:
            old.cancel()
        self._alives = [*under_way[-MAX_ALIVES + 1 :], group.create_task(self._ask_alive(link, item))]

    async def _ask_alive(self, link: DialledLink, item: Item) -> None:
        """Once: the next one says the same, and more. It names a Status of this link, and is for no other."""
        with suppress(TransportError, FrameInvalid):
            self._hear(await link.ask([item]))

    async def _ask_on(self) -> None:
        lost_in_a_row = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := fitting(self._outstanding):
                if await self._ask(batch):
                    lost_in_a_row = 0
                    continue
                lost_in_a_row += 1
                if lost_in_a_row % MAX_LOST_IN_A_ROW == 0:
                    self._lost()  # and again: the redial that it leads to may fail
                await asyncio.sleep(ASK_AGAIN_MS / 1000)
            self._idle.set()

    async def _ask(self, batch: list[Item]) -> bool:
        try:
            answer = await self.link.ask(batch)
        except (TransportError, FrameInvalid, Unreachable) as problem:
            self._events.tell("ask_again", sentence=str(problem))
            self._outstanding = [in_full(each) for each in self._outstanding]
            return False
        self._outstanding = [each for each in self._outstanding if each not in batch]
        self._arrived([each for each in batch if isinstance(each, Link)])
        self._hear(answer)
        return True

    async def _listen_on(self) -> None:
        while True:
            self._resubscribe.clear()
            listening = asyncio.ensure_future(self._listen())
            again = asyncio.ensure_future(self._resubscribe.wait())
            try:
                await asyncio.wait((listening, again), return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0 if again.done() else ASK_AGAIN_MS / 1000)
            finally:
                for task in (listening, again):
                    task.cancel()
                await asyncio.gather(listening, again, return_exceptions=True)

    async def _listen(self) -> None:
        """Until the subscription ends. Where the bearer tells that it is gone, it is missed at once: silence tells it
        later, and a V2V provider has switched off by then. That of a link that we have left is not missed."""
        if self._link is None:
            await self._resubscribe.wait()
        link, listened = self.link, False
        try:
            async with link.pushes() as pushes:
                listened = True
                async for items in pushes:
                    if link is not self._link:
                        return
                    self._hear(items)
        except (TransportError, FrameInvalid) as problem:
            self._events.tell("subscription_lost", sentence=str(problem))
        if listened and link is self._link:
            self._lost()
