"""Drives one agreement from Confirm to Closed: the delivery machine, the power path, the ledger and the channel.

Everything that happens goes through one inbox, in order. Power is taken away before anything is written or said;
entries are durable before the peer hears of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from market.delivery import (
    Agreement,
    AllowPower,
    BeginPath,
    CutPower,
    Finished,
    OwnerStop,
    PlugHeard,
    PushStatus,
    Redial,
    Resubscribe,
    SuspendPath,
)
from market.errors import Reason
from market.machine import Append, LedgerFailed, LinkLost, LinkResumed, Received, Recorded, Refused, Repeat, Tell, Tick
from market.terms import Alive, Close, Closed, MessageType, Offer, ResolvingKey, Status, Subscribe, Void
from market.units import Role, Service
from v2xnode.clock import Clock
from v2xnode.envelope import FrameInvalid, Item, Link, Plain, Talk, is_entry, read
from v2xnode.envelope import Reading as Context
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.links import AcceptedLink, DialledLink, RawItems
from v2xnode.metering import (
    Metered,
    PathDerated,
    PathEnding,
    PathFailed,
    PathOff,
    PathReached,
    PlugTold,
)
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.channel import Channel
from v2xnode.trading.client_channel import ClientChannel
from v2xnode.trading.inbox import Arrived, Heard, Question, Relinked
from v2xnode.trading.provider_channel import ProviderChannel
from v2xnode.trading.walk import Walk

MAX_INBOX = 512
"""Things that one session may have to look at: half a minute of readings; more means that the disk hangs."""
MAX_UNANSWERED = 32
"""Entries of the peer that led to none of ours. A trade takes turns, so that a few are usual; what the session can't
use is kept too, signed as it is, but not without end: a peer must not fill our disk."""
LAST_WORDS = (Void, Close, Closed)
LINGER_MS = 30_000
"""World time that a delivery whose Close nobody answered waits for a late Receipt before it is put away."""


class DeliveryMachine(Protocol):
    """What both roles' machines have."""

    def handle(self, event: object, now_ms: int) -> Sequence[Any]: ...

    def deadline_ms(self) -> int | None: ...


def _is_status(raw: list[Any]) -> bool:
    """A Status is heard after all that came with it: an Alive that names it tells the provider that we hold that."""
    return not is_entry(raw) and raw[0] == MessageType.STATUS


@dataclass(slots=True)
class Delivering:
    """One running delivery. `finished` holds what it came to, once it is over."""

    role: Role
    request_id: bytes
    peer: bytes
    agreement: Agreement
    service: Service
    began_at_ms: int
    machine: DeliveryMachine
    channel: Channel
    context: Callable[[], Context]
    talk: Talk
    books: Books
    clock: Clock
    events: EventLog
    met: Callable[[bytes, bytes], Awaitable[None]]
    redial: Callable[[], None] = lambda: None
    helpers: tuple[Coroutine[Any, Any, None], ...] = ()
    """What has to run beside it, until it is over and its last words are said."""
    counts: bool = True
    """Whether what it comes to is new, and not in the ledger since before a restart."""
    walk: Walk = field(init=False)
    finished: Finished | None = None
    is_put_away: bool = False
    _unanswered: int = 0
    _is_unwritten: bool = False
    """Whether our last word could not be written: it is due as soon as the ledger takes it."""
    _inbox: "asyncio.Queue[object]" = field(default_factory=lambda: asyncio.Queue(MAX_INBOX))
    _linger_until_ms: int | None = None

    # what happens outside

    def lost(self) -> None:
        """No link to the peer is left. What is outstanding needs one, whatever the machine makes of it."""
        if not self.is_put_away:
            self.post(LinkLost())
        self.redial()

    def post(self, event: object) -> None:
        """Something happened; a session that can't keep up loses readings, never orders or messages."""
        if self._is_behind and isinstance(event, Metered):
            return
        self._inbox.put_nowait(event)

    def relinked(self, link: DialledLink) -> None:
        """The provider knows the session on this link."""
        if self.is_put_away:
            self._move(link)
        else:
            self.post(Relinked(link))

    def _move(self, link: DialledLink) -> None:
        if not isinstance(self.channel, ClientChannel):
            raise TypeError("only a client dials")
        self.channel.move(link)

    async def ask(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """A question of the client's: the session's answer to it. Raises FrameInvalid where that would say that we hold
        entries which can't be kept any more, or not now."""
        question = Question(link, items, asyncio.get_running_loop().create_future())
        if self.is_put_away or self._is_behind:
            question.leave()
        else:
            self.post(question)
        return await question.answer

    @property
    def _is_behind(self) -> bool:
        """Half full: what is left is for the path's own news, of which there are few."""
        return self._inbox.qsize() >= MAX_INBOX // 2

    @property
    def offer(self) -> Offer:
        return self.agreement.offer

    @property
    def ends_at_ms(self) -> int:
        """End of the agreed window (UTC)."""
        return self.agreement.ends_at_ms

    # the loop

    async def run(self, first: Sequence[object] = ()) -> Finished:
        """Drive until it is over. Cancelled or failing, the path is opened first."""
        try:
            for event in first:
                await self._take(event)
            while not self._is_over():
                await self._take(await self._next())
            await self.walk.end()
        finally:
            await self._put_away()
        if self.finished is None:
            raise AssertionError("a delivery ends with Finished")
        return self.finished

    async def _put_away(self) -> None:
        self.is_put_away = True
        await self.walk.put_away()
        await self.catch_up()

    async def catch_up(self) -> None:
        """After the end: what the peer has got counts, all else is too late, and whoever asked is told so."""
        while not self._inbox.empty():
            match self._inbox.get_nowait():
                case Question() as question:
                    question.leave()
                case Arrived(digests):
                    await self._acknowledged(digests)
                case Relinked(link):
                    self._move(link)

    async def _acknowledged(self, digests: Sequence[bytes]) -> None:
        try:
            await self.books.acknowledged(digests)
        except LedgerRefused as problem:  # it will be said again
            self.events.tell("ledger_failed", self.request_id, code=problem.code, sentence=problem.sentence)

    def _is_over(self) -> bool:
        if self.finished is None:
            return False
        late = self._linger_until_ms is not None and self.clock.monotonic_ms() >= self._linger_until_ms
        return self.finished.answered or late

    async def _next(self) -> object:
        deadlines = [at for at in (self.machine.deadline_ms(), self._linger_until_ms) if at is not None]
        if not deadlines:
            return await self._inbox.get()
        wait_s = max(0, min(deadlines) - self.clock.monotonic_ms()) / 1000 / self.clock.speed
        if wait_s == 0:
            return Tick()  # first: a peer that talks without pause must not hold up what is due
        try:
            async with asyncio.timeout(wait_s):
                return await self._inbox.get()
        except TimeoutError:
            return Tick()

    async def _take(self, event: object) -> None:
        """One event; a ledger that fails is a reason to stop, and the end of this delivery only."""
        try:
            await self._dispatch(event)
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", self.request_id, code=problem.code, sentence=problem.sentence)
            await self._feed(OwnerStop(Reason.LEDGER_FAULT))

    async def _dispatch(self, event: object) -> None:
        match event:
            case Question():
                await self._answer(event)
            case Heard(items):
                for raw in sorted(items, key=_is_status):
                    await self._hear(raw)
            case Arrived(digests):
                await self._acknowledged(digests)
            case Relinked(link):
                self._move(link)
                await self._feed(LinkResumed())
            case Metered() | PlugTold() | PathReached() | PathDerated() | PathFailed() | PathEnding() | PathOff():
                meant = self.walk.means(event)
                if meant is not None:
                    await self._feed(meant)
            case _:
                await self._feed(event)

    async def _feed(self, event: object) -> None:
        for effect in self.machine.handle(event, self.clock.monotonic_ms()):
            if isinstance(effect, Append):
                if not await self._append(effect):
                    return  # what would follow rests on an entry that is not there
            else:
                await self._do(effect)

    # the peer

    async def _answer(self, question: Question) -> None:
        channel = self.channel
        if not isinstance(channel, ProviderChannel):
            raise TypeError("only a provider is asked")
        if channel.move(question.link):
            await self._feed(LinkResumed())
        channel.begin_answer()
        kept, subscribed = False, False
        try:
            heard = [await self._hear(raw) for raw in question.items]
            subscribed = any(item is not None and isinstance(item.message, Subscribe) for item in heard)
            kept = all(item is not None or not is_entry(raw) for item, raw in zip(heard, question.items, strict=True))
        finally:
            answer = list(channel.end_answer())
            if not question.answer.done() and not kept:  # an answer would say that we hold what the client has sent
                question.answer.set_exception(FrameInvalid("Not all of this could be kept."))
            elif not question.answer.done():
                question.answer.set_result(channel.state_items() if subscribed else answer)

    async def _hear(self, raw: list[Any]) -> Item | None:
        try:
            item = read(raw, self.context())
            if isinstance(item, Link):
                if self._unanswered >= MAX_UNANSWERED:
                    raise FrameInvalid("Too many entries of this session fitted nowhere.")
                self._unanswered += await self.books.receive(item)
                self.talk.hear(item)
                self.channel.link.received(item.signed)
                self.channel.acknowledged(item.signed.entry.answers)
        except (FrameInvalid, PeerError) as problem:
            self.events.tell("message_refused", self.request_id, code=problem.code, sentence=problem.sentence)
            return None
        message = item.message
        if isinstance(message, Subscribe):
            return item
        if isinstance(message, ResolvingKey):
            await self.met(self.peer, message.key)
            return item
        if isinstance(message, Alive) and isinstance(self.channel, ProviderChannel):
            await self.books.acknowledged(self.channel.heard_alive(message))
        answers = item.signed.entry.answers if isinstance(item, Link) else b""
        await self._feed(Received(message, item.digest, answers))
        return item

    async def _cut_power(self, reason: Reason) -> None:
        """Power off, then make durable that this session is stopped."""
        await self.walk.cut(reason)
        if not self.walk.has_begun:
            self.post(PathOff())
        self.events.tell("power_cut", self.request_id, code=reason.code, sentence=reason.sentence)
        try:
            await self.books.latch_stop(self.request_id, reason)
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", self.request_id, code=problem.code, sentence=problem.sentence)

    # what the machine wants

    async def _do(self, effect: object) -> None:
        match effect:
            case CutPower(reason):
                await self._cut_power(reason)
            case AllowPower(power_w):
                await self.walk.allow(power_w)
            case SuspendPath():
                await self.walk.suspend()
            case BeginPath():
                await self.walk.go()
            case PlugHeard(plug):
                await self.walk.hear_plug(plug)
            case Tell(message):
                self.channel.send(Plain(message))
            case Repeat(digest):
                await self._repeat(digest)
            case PushStatus(status):
                self._push(status)
            case Resubscribe():
                if isinstance(self.channel, ClientChannel):
                    self.channel.resubscribe()
            case Redial():
                self.redial()
            case Refused(message, reason):
                self.events.tell("message_refused", self.request_id, message=type(message).__name__, code=reason.code)
            case Finished():
                await self._finish(effect)

    async def _append(self, effect: Append) -> bool:
        """Durable first, told then; False when it could not be made durable."""
        try:
            entry = await self.books.append(self.peer, self.request_id, effect.message, effect.answers)
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", self.request_id, code=problem.code, sentence=problem.sentence)
            self._is_unwritten = isinstance(effect.message, LAST_WORDS)
            await self._feed(LedgerFailed())
            return False
        self._is_unwritten = False
        self._unanswered = max(0, self._unanswered - 1)
        self.channel.send(self.talk.say(entry))
        await self._feed(Recorded(effect.message, entry.digest))
        return True

    async def _repeat(self, digest: bytes) -> None:
        for reply in await self.books.reply_to(digest, self.request_id):
            self.channel.send(reply)

    def _push(self, status: Status) -> None:
        if isinstance(self.channel, ProviderChannel):
            self.channel.push_status(status)

    async def _finish(self, finished: Finished) -> None:
        self.finished = finished
        self._linger_until_ms = self.clock.monotonic_ms() + LINGER_MS
        if self.walk.has_begun:
            await self.walk.cut(finished.reason)  # one that is paused would wait for a session that is over
        if not self._is_unwritten:  # what it locks tells that something is left to be done, also after a restart
            await self._end(finished)
        self.events.tell(
            "finished",
            self.request_id,
            peer=short(self.peer),
            role=self.role.name.lower(),
            code=finished.reason.code,
            sentence=finished.reason.sentence,
            agreed_wh=finished.agreed_wh,
            amount_micro=sum(finished.amounts_micro),
            receipts=finished.receipts,
            answered=finished.answered,
        )

    async def _end(self, finished: Finished) -> None:
        try:
            await self.books.end(self.request_id, answered=finished.answered)
        except LedgerRefused as problem:  # it is over all the same; what is locked is freed when it is settled again
            self.events.tell("ledger_failed", self.request_id, code=problem.code, sentence=problem.sentence)
