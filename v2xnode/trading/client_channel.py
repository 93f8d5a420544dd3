"""A client's way to its provider: it asks with whatever is outstanding, and listens to pushes."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from market.terms import Alive
from transports.errors import TransportError
from v2xnode.envelope import FrameInvalid, Item, Link, fitting, in_full
from v2xnode.errors import Unreachable
from v2xnode.events import EventLog
from v2xnode.links import DialledLink, RawItems
from v2xnode.trading.channel import MAX_OUTSTANDING, supersedes, there

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
        return there(self._link)

    @property
    def bearer(self) -> str | None:
        return None if self._link is None else self._link.bearer

    def send(self, item: Item) -> None:
        if isinstance(item.message, Alive) and self._group is not None:
            if self._link is not None:
                self._say_alive(self._group, self._link, item)
            return
        kept = [each for each in self._outstanding if not supersedes(item, each)]
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
