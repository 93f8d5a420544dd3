"""The client's side until there is an agreement: ask every provider in reach, take the best offer, get it confirmed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.store.view import Lock
from ledger.witnessing.forks import is_forked
from market.errors import Reason, Refusal
from market.machine import Append, LedgerFailed, Received, Recorded, Refused, Sign, Tick
from market.negotiation import Agreed, ClientEffect, ClientNegotiation, ClientStage, GaveUp, InSession, Withdrawal
from market.ranking import Candidate, rank
from market.ranking import Wish as RankingWish
from market.terms import Accept, Confirm, Decline, Electrical, Offer, Ready, Reject, Void
from transports.errors import TransportError
from v2xnode.clock import Clock
from v2xnode.discovery import Heard
from v2xnode.envelope import FrameInvalid, Item, Letter, Link, Plain, in_full, read, sign_letter
from v2xnode.errors import NodeError, PeerError, RefusedByLimit, Unreachable
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.links import Links, RawItems
from v2xnode.trading.asking import Asked, Asking, Vouchers, Wish
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.whereabouts import Place, Whereabouts

BUYING = "buying"
"""Name of the lock that a client holds from its Accept until the session is over."""

NONCE_BYTES = 8
ASK_AGAIN_MS = 500
"""Real time before a frame whose answer got lost is sent again in a new record."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both have signed: the delivery begins from here."""

    asked: Asked
    offer: Offer
    confirm: bytes
    elsewhere: Sequence[Place] = ()
    """Where else somebody showed the provider's key: a hint."""


@dataclass(slots=True)
class Need:
    """One need, from the first question to an agreement. `withdraw` may be called at any time."""

    wish: Wish
    identity: Identity
    links: Links
    books: Books
    clock: Clock
    events: EventLog
    electrical: Electrical
    currency: str
    whereabouts: Whereabouts
    vouchers: Vouchers
    only: str = ""
    """Agree only with the provider whose id begins so."""
    _asking: Asking = field(init=False)
    _accepted: tuple[Asked, bytes] | None = None
    """An Accept that is not answered yet, with the hash of the offer."""
    _withdrawn: bool = False
    _todo: list[ClientEffect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._asking = Asking(
            self.wish, self.identity, self.links, self.events, self.whereabouts, self.vouchers, self.only
        )

    @property
    def _asked(self) -> dict[bytes, Asked]:
        return self._asking.answered

    @property
    def is_withdrawn(self) -> bool:
        """Whether the owner took it back, after it was agreed already."""
        return self._withdrawn

    def asks(self, request_id: bytes) -> bool:
        """Whether one of its requests has this id."""
        return request_id in self._asked

    def withdraw(self) -> None:
        """The owner does not want it any more; an Accept on its way is voided."""
        self._withdrawn = True

    async def agree(self, providers: Sequence[Heard]) -> Agreement:
        """Ask the providers and agree with the best.

        Raises TermsInvalid, Unreachable when none answers, RefusedByLimit with the most useful refusal when none
        agrees, or when it was withdrawn.
        """
        try:
            await self._asking.ask_all(providers)
            await self._leave_forked()
            if self._withdrawn:  # nothing is accepted yet, so there is nothing to void
                raise RefusedByLimit(Reason.WITHDRAWN.sentence, code=Reason.WITHDRAWN.code)
            if not self._asked:
                raise Unreachable("No provider in reach answered the request.")
            return await self._negotiate()
        except BaseException:
            await asyncio.shield(self._take_back())
            await self._asking.leave(b"")
            raise

    async def _leave_forked(self) -> None:
        """Whoever signed two histories of its ledger is agreed with no more, whatever it offers."""
        peers = {request_id: asked.link.peer for request_id, asked in self._asked.items()}
        forked = await self.books.run(lambda view: [each for each, peer in peers.items() if is_forked(view, peer)])
        for request_id in forked:
            self.events.tell("refused", request_id, peer=short(peers[request_id]), code=Reason.FORKED.code)
            await self._asked.pop(request_id).link.aclose()

    # agreeing

    async def _negotiate(self) -> Agreement:
        requests = [asked.request for asked in self._asked.values()]
        machine = ClientNegotiation(requests, self._rank, now_ms=self.clock.monotonic_ms())
        todo = self._todo
        for request_id, asked in self._asked.items():
            self._tell_answer(asked)
            said = Received(asked.answer.message, asked.answer.digest)
            todo += self._feed(machine, InSession(request_id, said))
        while True:
            todo += await self._next(machine, idle=not todo)
            if not todo:
                continue
            match effect := todo.pop(0):
                case Agreed():
                    await self._asking.leave(effect.request_id)
                    asked = self._asked[effect.request_id]
                    return Agreement(asked, effect.offer, effect.confirm, self._asking.elsewhere(asked.link.peer))
                case GaveUp():
                    raise self._refusal([refusal for _, refusal in effect.refusals])
                case InSession():
                    todo += await self._step(machine, effect)

    def _rank(self, offers: Sequence[tuple[bytes, Offer]]) -> Sequence[bytes]:
        """Best first by landed price; a provider can't choose the id that breaks a tie."""
        by_offer = {self._asked[request_id].answer.digest: request_id for request_id, _ in offers}
        candidates = [
            Candidate(
                id=self._asked[request_id].answer.digest,
                offer=offer,
                electrical=self._asked[request_id].link.hello.electrical,
            )
            for request_id, offer in offers
        ]
        now_ms = self.clock.wall_ms()
        wish = RankingWish(
            service=self.wish.service,
            electrical=self.electrical,
            energy_wh=self.wish.energy_wh,
            energy_min_wh=self.wish.energy_min_wh,
            power_min_w=self.wish.power_min_w,
            price_max_micro_per_kwh=self.wish.price_max_micro_per_kwh,
            currency=self.currency,
            now_ms=now_ms,
            end_at_ms=now_ms + self.wish.window_ms,
        )
        ranked = rank(candidates, wish)
        for each in ranked:
            if each.unfit is not None:
                self.events.tell("offer_unfit", by_offer[each.candidate.id], sentence=each.unfit.value)
        return [by_offer[each.candidate.id] for each in ranked if each.unfit is None]

    def _feed(self, machine: ClientNegotiation, event: object) -> Sequence[ClientEffect]:
        return machine.handle(event, self.clock.monotonic_ms())

    async def _next(self, machine: ClientNegotiation, *, idle: bool) -> Sequence[ClientEffect]:
        """The owner's withdrawal first; then, with nothing to do, what the next deadline brings."""
        if self._withdrawn and machine.state is not ClientStage.AGREED:
            self._withdrawn = False
            return self._feed(machine, Withdrawal())
        if not idle:
            return ()
        deadline = machine.deadline_ms()
        if deadline is not None:
            await self.clock.sleep_until(deadline)
        return self._feed(machine, Tick())

    def _tell_answer(self, asked: Asked) -> None:
        message = asked.answer.message
        if isinstance(message, Offer):
            price = message.price_steps[0].price_micro_per_kwh
            self.events.tell(
                "offer",
                asked.request_id,
                peer=short(asked.link.peer),
                energy_wh=message.energy_wh,
                power_w=message.power_w,
                price_micro_per_kwh=price,
            )
        elif isinstance(message, Decline):
            refusal = Refusal(message.reason, message.would_pass)
            self.events.tell(
                "declined",
                asked.request_id,
                peer=short(asked.link.peer),
                code=message.reason.code,
                sentence=refusal.sentence,
                would_pass=message.would_pass.value if message.would_pass else None,
            )

    async def _step(self, machine: ClientNegotiation, effect: InSession) -> Sequence[ClientEffect]:
        """Do one session's effect and feed back what came of it."""
        asked = self._asked[effect.request_id]
        match effect.step:
            case Append(message, answers):
                return await self._append(machine, asked, message, answers)
            case Sign(message):
                letter = sign_letter(self.identity.signer, message)
                return await self._exchange(machine, asked, letter)
            case Refused(message, reason):
                self.events.tell("message_refused", effect.request_id, message=type(message).__name__, code=reason.code)
        return ()

    async def _append(
        self, machine: ClientNegotiation, asked: Asked, message: object, answers: bytes
    ) -> Sequence[ClientEffect]:
        if not isinstance(message, Accept | Void):
            raise TypeError("a negotiating client appends Accept and Void only")
        try:
            entry = await self.books.append(
                asked.link.peer,
                asked.request_id,
                message,
                answers,
                letters=asked.letters,
                locks=[self._lock(asked)] if isinstance(message, Accept) else [],
                unlock=isinstance(message, Void),
            )
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", asked.request_id, code=problem.code, sentence=problem.sentence)
            self._todo.clear()  # what stood behind it rests on an entry that is not there
            return self._feed(machine, LedgerFailed())
        self._accepted = (asked, answers) if isinstance(message, Accept) else None
        recorded = self._feed(machine, InSession(asked.request_id, Recorded(message, entry.digest)))
        return [*recorded, *await self._exchange(machine, asked, entry)]

    async def _take_back(self) -> None:
        """Whoever wanted this is gone: an Accept on its way is voided in writing, and the provider told later."""
        if self._accepted is None:
            return
        (asked, offer), self._accepted = self._accepted, None
        void = Void(peer=asked.link.peer, at_s=0, reason=Reason.WITHDRAWN)
        try:
            await self.books.append(asked.link.peer, asked.request_id, void, offer, unlock=True)
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", asked.request_id, code=problem.code, sentence=problem.sentence)

    def _lock(self, asked: Asked) -> Lock:
        """What tells a node that went down meanwhile that it had accepted something."""
        now_ms = self.clock.wall_ms()
        return Lock(asked.request_id, BUYING, asked.request.energy_wh, now_ms, now_ms + asked.request.window_ms)

    async def _exchange(self, machine: ClientNegotiation, asked: Asked, item: Item) -> Sequence[ClientEffect]:
        """Send until answered or the machine's time is up; then what the answer brought."""
        effects: list[ClientEffect] = []
        answer = await self._ask_until_answered(machine, asked, asked.talk.say(item))
        if answer is not None and isinstance(item.message, Void):
            await self.books.acknowledged([item.digest])
        for raw in answer or ():
            said = await self._hear(asked, raw)
            if said is None:
                continue
            if isinstance(said, Letter):
                asked.answer = said
            answers = said.signed.entry.answers if isinstance(said, Link) else b""
            heard = Received(said.message, said.digest, answers)
            effects += self._feed(machine, InSession(asked.request_id, heard))
        return effects

    async def _hear(self, asked: Asked, raw: list[Any]) -> Item | None:
        """An item of an answer, held durably where it is an entry; None where it has no place here. A provider that
        breaks the rules has not answered: its Accept will be voided, and the next provider is asked."""
        try:
            said = read(raw, asked.link.context(self.identity.public, asked.request_id, asked.talk.said))
            if not isinstance(said.message, Confirm | Reject | Void | Offer | Decline):
                asked.rest.append(raw)
                return None
            if isinstance(said, Link):
                await self.books.receive(said)
                asked.link.received(said.signed)
                self._accepted = None
            asked.talk.hear(said)
        except PeerError as problem:
            self.events.tell("message_refused", asked.request_id, code=problem.code, sentence=problem.sentence)
            return None
        return said

    async def _ask_until_answered(self, machine: ClientNegotiation, asked: Asked, item: Item) -> RawItems | None:
        """The answer's items; None where the machine's time was up first."""
        while True:
            try:
                return await asked.link.ask(self._with_ready(asked, item))
            except (TransportError, FrameInvalid) as problem:
                self.events.tell("ask_again", asked.request_id, sentence=str(problem))
                item = in_full(item)
            deadline = machine.deadline_ms()
            if deadline is None or self.clock.monotonic_ms() >= deadline:
                return None
            await asyncio.sleep(ASK_AGAIN_MS / 1000)

    def _with_ready(self, asked: Asked, item: Item) -> list[Item]:
        """The plug is in as far as we know, so Ready goes with the Accept; with each repetition a fresh one, since a
        Start counts for some seconds only."""
        if not isinstance(item.message, Accept):
            return [item]
        seq = 1 if asked.ready is None else asked.ready.seq + 1
        asked.ready, asked.rest = Ready(seq, self.identity.entropy(NONCE_BYTES)), []
        return [*map(Plain, asked.vouchers), item, Plain(asked.ready)]

    def _refusal(self, refusals: Sequence[Refusal]) -> NodeError:
        """The refusal that helps most: one that says what would pass, if there is one."""
        if not refusals:
            return RefusedByLimit("None of the offers fits what was asked for.", code="no_offer_fits")
        best = min(refusals, key=lambda refusal: refusal.would_pass is None)
        passing = best.would_pass
        return RefusedByLimit(
            best.sentence,
            code=best.reason.code,
            would_pass={"quantity": passing.quantity.unit, "value": passing.value} if passing else None,
        )
