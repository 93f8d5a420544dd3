"""The provider's side of one request: what it asks is answered from the owner's policy, and an Accept is decided in
one commit with its locks. A confirmed one goes on as a delivery."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.store.view import View
from market.errors import Reason, Refusal
from market.machine import Append, LedgerFailed, Received, Recorded, Refused, Repeat, Sign, Tell, Tick
from market.negotiation import (
    Ask,
    Confirmed,
    Decide,
    Decided,
    Decision,
    Ended,
    ProviderEffect,
    ProviderNegotiation,
    ProviderStage,
    Withdrawal,
)
from market.terms import MAX_COUNTERS, Accept, Confirm, Counter, Decline, Offer, Request, Void
from v2xnode.clock import Clock
from v2xnode.envelope import (
    FrameInvalid,
    Item,
    Letter,
    Link,
    Plain,
    Reading,
    Talk,
    is_accept,
    read,
    sign_letter,
)
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.links import AcceptedLink, RawItems
from v2xnode.trading.books import Books, LedgerRefused, Verdict
from v2xnode.trading.delivering import Delivering

Quote = Callable[[Counter | None], Awaitable[Offer | Decline]]
"""The owner's policy, asked about the request (None) or a counter to it."""
Recheck = Callable[[View, Offer], Verdict]
"""The same policy inside the commit, with all locks of the moment."""
Begin = Callable[["Selling", Confirmed], Delivering]
"""Makes and starts the delivery of a confirmed agreement."""


_PROMISING = (ProviderStage.DECIDING, ProviderStage.WITHDRAWING, ProviderStage.CONFIRMED)
MAX_ENTRIES = 2 * (MAX_COUNTERS + 1)
"""Entries of the peer held for one request before there is an agreement: an Accept and a Void for each offer."""


@dataclass(slots=True)
class Selling:
    """One request of one peer."""

    request: Request
    letter: Letter
    link: AcceptedLink
    identity: Identity
    books: Books
    clock: Clock
    events: EventLog
    quote: Quote
    recheck: Recheck
    tell_refusal: Callable[[Refusal], None]
    begin: Begin
    machine: ProviderNegotiation = field(init=False)
    delivering: Delivering | None = None
    withdrawn: Reason | None = None
    talk: Talk = field(default_factory=Talk)
    _offers: dict[bytes, Letter] = field(default_factory=dict)
    _last_answer: Item | None = None
    _reply: list[Item] = field(default_factory=list)
    _entries: int = 0
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.machine = ProviderNegotiation(self.request, self.link.peer, now_ms=self.clock.monotonic_ms())

    @property
    def peer(self) -> bytes:
        return self.link.peer

    @property
    def is_undecided(self) -> bool:
        """Whether it may still be forgotten: nothing is promised, and no promise is being written."""
        return self.delivering is None and self.machine.state not in _PROMISING

    @property
    def is_over(self) -> bool:
        """Whether nothing can come of this request any more."""
        if self.delivering is not None:
            return self.delivering.is_put_away
        return self.machine.state is ProviderStage.CLOSED

    def context(self) -> Reading:
        """How to read the peer's items in this session."""
        return self.link.context(self.identity.public, self.request.request_id, self.talk.said)

    async def open(self) -> Sequence[Item]:
        """Answer the request itself. Nothing durable changes: the request may be a replay."""
        async with self._busy:
            await self._feed(Decision(await self.quote(None)))
            return self._take_reply()

    async def again(self, raw: list[Any]) -> Sequence[Item]:
        """Answer the request once more. No link moves: it may be a replay."""
        async with self._busy:
            if self.delivering is None:
                await self._hear(raw)
            return self._take_reply()

    def withdraw(self, reason: Reason) -> None:
        """The owner stops everything: an offer is taken back as its peer is heard next, a Confirm under way voided."""
        self.withdrawn = reason

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """Answer a later frame of this session, over whichever link of the peer it came. Raises FrameInvalid."""
        async with self._busy:
            self.link = link
            await self._catch_up()
            rest = await self._negotiate(items)
            reply = self._take_reply()
        if self.delivering is None or not rest:
            return reply
        return [*reply, *await self.delivering.ask(link, rest)]

    async def _catch_up(self) -> None:
        """What has come due since the peer was last heard."""
        if self._is_due():
            await self._feed(Tick())
        if self.withdrawn is not None and self.machine.state is not ProviderStage.CONFIRMED:
            await self._feed(Withdrawal(self.withdrawn))

    async def _negotiate(self, items: RawItems) -> RawItems:
        """Hear what belongs to the negotiation, a repeated Accept of a running delivery too; what is left is the
        delivery's. One item that breaks the rules takes nothing from what was answered before it."""
        rest: RawItems = []
        for raw in items:
            if self.delivering is not None and not is_accept(raw):
                rest.append(raw)
                continue
            try:
                await self._hear(raw)
            except PeerError as problem:
                if not self._reply:
                    raise
                self.events.tell(
                    "message_refused", self.request.request_id, code=problem.code, sentence=problem.sentence
                )
        return rest

    def _is_due(self) -> bool:
        deadline = self.machine.deadline_ms()
        return deadline is not None and self.clock.monotonic_ms() >= deadline

    def _take_reply(self) -> Sequence[Item]:
        reply, self._reply = self._reply, []
        return reply

    async def _hear(self, raw: list[Any]) -> None:
        item = read(raw, self.context())
        if isinstance(item, Link):
            await self._keep(item)
        self.talk.hear(item)
        answers = item.signed.entry.answers if isinstance(item, Link) else b""
        await self._feed(Received(item.message, item.digest, answers))

    async def _keep(self, item: Link) -> None:
        """Hold a peer's entry durably, of those that have a place here: a stranger must not fill our disk."""
        if not isinstance(item.message, Accept | Void):
            raise FrameInvalid("There is no agreement that this entry could belong to.")
        if self._entries >= MAX_ENTRIES:
            raise FrameInvalid("Too many entries for one request.")
        if await self.books.receive(item, letters=(self.letter, *self._offers.values())):
            self._entries += 1
        self.link.received(item.signed)

    async def _feed(self, event: object) -> None:
        for effect in self.machine.handle(event, self.clock.monotonic_ms()):
            await self._do(effect)

    async def _do(self, effect: ProviderEffect) -> None:
        match effect:
            case Sign(message) if isinstance(message, Offer):
                letter = sign_letter(self.identity.signer, message)
                self._offers[letter.digest] = letter
                self._say(letter)
                self._tell_offer(message)
                await self._feed(Recorded(message, letter.digest))
            case Tell(message):
                self._say(Plain(message))
            case Ask(counter):
                await self._feed(Decision(await self.quote(counter)))
            case Decide(offer, accept):
                await self._decide(offer, accept)
            case Confirmed():
                self.delivering = self.begin(self, effect)
            case Append(message, answers):
                self._say(await self.books.append(self.peer, self.request.request_id, message, answers, asked=True))
            case Repeat(digest):
                self._reply += await self._stored_reply(digest)
            case Refused(message, reason):
                self.events.tell(
                    "message_refused", self.request.request_id, message=type(message).__name__, code=reason.code
                )
            case Ended(reason):
                await self._end(reason)

    def _say(self, item: Item) -> None:
        self._last_answer = item
        self._reply.append(self.talk.say(item))

    def _tell_offer(self, offer: Offer) -> None:
        self.events.tell(
            "offered",
            self.request.request_id,
            peer=short(self.peer),
            service=self.request.service.name,
            energy_wh=offer.energy_wh,
            power_w=offer.power_w,
            price_micro_per_kwh=offer.price_steps[0].price_micro_per_kwh,
        )

    async def _decide(self, offer: Offer, accept: bytes) -> None:
        try:
            entry, verdict = await self.books.decide(
                self.request.request_id, accept, lambda view: self.recheck(view, offer)
            )
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", self.request.request_id, code=problem.code, sentence=problem.sentence)
            await self._feed(LedgerFailed())
            return
        if verdict.refusal is not None:
            self.tell_refusal(verdict.refusal)
        self._say(entry)
        await self._feed(Decided(verdict.answer, entry.digest))

    async def _stored_reply(self, digest: bytes) -> Sequence[Item]:
        stored = await self.books.reply_to(digest, self.request.request_id)
        if stored:
            return stored
        return [self._last_answer] if self._last_answer is not None else []

    async def _end(self, reason: Reason) -> None:
        self.events.tell(
            "request_ended", self.request.request_id, peer=short(self.peer), code=reason.code, sentence=reason.sentence
        )
        if any(isinstance(item.message, Confirm) for item in self._reply):
            await self.books.end(self.request.request_id, answered=False)
