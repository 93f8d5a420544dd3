"""What peers ask of us: requests, and sessions that they come back to. Every bound on what strangers can make this
node hold in memory is in this room."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from market.delivery import OwnerStop
from market.errors import Reason
from market.negotiation import Confirmed
from market.terms import Decline, MessageType, Request, ResolvingKey, Resume
from v2xnode.clock import Clock
from v2xnode.envelope import FrameInvalid, Item, Letter, Plain, is_accept, is_entry, read, request_id_in
from v2xnode.errors import NodeError
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import AcceptedLink, RawItems
from v2xnode.trading.books import Books
from v2xnode.trading.deliveries import Deliveries
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.opening import Workshop
from v2xnode.trading.owner import Asker, Owner
from v2xnode.trading.remains import Remains, remains
from v2xnode.trading.reopened import Reopened
from v2xnode.trading.selling import Selling

MAX_REQUESTS = 256
"""Requests of all peers held at once, a few KiB each; the oldest that came to nothing makes room."""
MAX_REQUESTS_OF_PEER = 8
"""A peer with more open requests than this is asking for something else than energy."""


class Sale(Protocol):
    """One request of a peer, new or from before a restart."""

    @property
    def peer(self) -> bytes: ...

    @property
    def delivering(self) -> Delivering | None: ...

    @property
    def is_undecided(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def withdraw(self, reason: Reason) -> None: ...

    async def again(self, raw: list[Any]) -> Sequence[Item]: ...

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]: ...


@dataclass(slots=True)
class Shop:
    """The selling side of one node. It is closed until `is_open`, and closes for new things only."""

    identity: Identity
    clock: Clock
    events: EventLog
    books: Books
    owner: Owner
    workshop: Workshop
    deliveries: Deliveries
    is_open: bool = False
    _sales: dict[bytes, Sale] = field(default_factory=dict)
    _reopening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """Answer one frame of a peer. Raises PeerError for what breaks the rules."""
        if not items:
            return ()
        if items[0][0] == MessageType.REQUEST:
            return await self._requested(link, items[0])
        if items[0][0] == MessageType.RESUME:
            return await self._resumed(link, items[0])
        if not link.session.established:
            raise FrameInvalid("A link opens with a request or a resumption, and nothing else.")
        sale = await self._find_or_reopen(link)
        if sale is None and (link.resumed or _would_be_lost(items)):  # a Decline would say that its entries have come
            raise FrameInvalid("There is no room for this session now.")
        if sale is None:
            return [Plain(Decline(request_id=bytes(16), reason=Reason.REQUEST_UNKNOWN))]
        if not self.is_open and sale.delivering is None:
            raise FrameInvalid("The node is stopping.")
        return await sale.serve(link, items)

    def withdraw(self, reason: Reason) -> None:
        """Whatever is not agreed yet is taken back."""
        for sale in self._sales.values():
            sale.withdraw(reason)

    # requests

    async def _requested(self, link: AcceptedLink, raw: list[Any]) -> Sequence[Item]:
        request_id = request_id_in(raw)
        known = self._sales.get(request_id or b"")
        if known is not None and known.peer == link.peer:
            link.session_id = request_id or b""
            return await known.again(raw)
        letter = read(raw, link.context(self.identity.public, request_id))
        if not isinstance(letter, Letter) or not isinstance(letter.message, Request):
            raise FrameInvalid("A request is signed.")
        request = letter.message
        asker = Asker(link.peer, link.hello.electrical, link.hello.currency)
        if known is not None or not self.is_open or not self._make_room(link.peer):
            return [Plain(Decline(request_id=request.request_id, reason=Reason.BUSY))]
        selling = Selling(
            request=request,
            letter=letter,
            link=link,
            identity=self.identity,
            books=self.books,
            clock=self.clock,
            events=self.events,
            quote=lambda counter: self.owner.quote(request, counter, asker),
            recheck=lambda view, offer: self.owner.recheck(view, request, offer, asker),
            tell_refusal=lambda refusal: self.owner.tell_refusal(request.request_id, asker.peer, refusal),
            begin=self._begin,
        )
        self._sales[request.request_id] = selling
        link.session_id = request.request_id
        return await selling.open()

    def _make_room(self, peer: bytes) -> bool:
        """Forget what is over; then the oldest that has come to nothing yet, of this peer or of all. False: nothing
        may be forgotten."""
        for request_id in [key for key, each in self._sales.items() if each.is_over]:
            del self._sales[request_id]
        of_peer = [key for key, each in self._sales.items() if each.peer == peer]
        if len(of_peer) < MAX_REQUESTS_OF_PEER and len(self._sales) < MAX_REQUESTS:
            return True
        crowd = of_peer if len(of_peer) >= MAX_REQUESTS_OF_PEER else list(self._sales)
        oldest = next((key for key in crowd if self._sales[key].is_undecided), None)
        if oldest is not None:
            del self._sales[oldest]
        return oldest is not None

    def _begin(self, selling: Selling, confirmed: Confirmed) -> Delivering:
        delivering = self.workshop.for_provider(selling, confirmed)
        delivering.channel.send(Plain(ResolvingKey(self.identity.resolving_key)))
        self.deliveries.begin(delivering)
        if selling.withdrawn is not None:
            delivering.post(OwnerStop(selling.withdrawn))
        return delivering

    # sessions that peers come back to

    async def _resumed(self, link: AcceptedLink, raw: list[Any]) -> Sequence[Item]:
        """A new link of a peer with a session. Nothing moves before a record proves that the link lives: this may be
        a replay."""
        resume = read(raw, link.context(self.identity.public, None)).message
        if isinstance(resume, Resume) and await self._knows(link.peer, resume.session_id):
            link.session_id, link.resumed = resume.session_id, True
            return ()
        return [Plain(Decline(request_id=bytes(16), reason=Reason.REQUEST_UNKNOWN))]

    async def _knows(self, peer: bytes, request_id: bytes) -> bool:
        sale = self._sales.get(request_id)
        if sale is not None and not sale.is_over:
            return sale.peer == peer
        return await self._remains_of(peer, request_id) is not None

    async def _remains_of(self, peer: bytes, request_id: bytes) -> Remains | None:
        left = await self.books.run(lambda view: remains(view, request_id))
        return left if left is not None and left.peer == peer and left.is_sale else None

    async def _find_or_reopen(self, link: AcceptedLink) -> Sale | None:
        sale = self._sales.get(link.session_id)
        if sale is not None and sale.peer != link.peer:
            return None
        if link.resumed and (sale is None or sale.is_over):
            if not self._make_room(link.peer):
                return None
            sale = await self.reopen(link.peer, link.session_id) or sale
        link.resumed = False  # not before: the next frame of this link waits there for the same
        return sale

    async def reopen(self, peer: bytes, request_id: bytes) -> Sale | None:
        """Go on with a session as the ledger has it, unless it goes on already: one at a time, since several frames may
        ask for the same one. None where there is none of this peer, or where this node can't any more, which is told.
        """
        async with self._reopening:
            sale = self._sales.get(request_id)
            if sale is not None and not sale.is_over:
                return sale
            left = await self._remains_of(peer, request_id)
            if left is None:
                return None
            return self._reopened(left)

    def _reopened(self, left: Remains) -> Sale | None:
        delivering = None
        if left.confirmed and not left.is_over and (left.holds or left.stands.account.receipts):
            try:
                delivering, first = self.workshop.provider_again(left)
            except NodeError as problem:
                self.events.tell("resume_failed", left.request_id, code=problem.code, sentence=problem.sentence)
                return None
            self.deliveries.begin(delivering, first)
        sale = Reopened(left, self.identity.public, self.books, delivering)
        self._sales[left.request_id] = sale
        return sale


def _would_be_lost(items: RawItems) -> bool:
    """Whether entries have come that somebody who resumes the session could still have us keep."""
    return any(is_entry(raw) and not is_accept(raw) for raw in items)
