"""Drives one agreement from Confirm to Closed: the delivery machine, the power path, the ledger and the channel.

Everything that happens goes through one inbox, in order. Power is taken away before anything is written or said;
entries are durable before the peer hears of them.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from market.delivery import (
    Agreement,
    AllowPower,
    BeginPath,
    CutPower,
    Finished,
    OwnerLimit,
    OwnPlug,
    PathEnded,
    PathPrepared,
    PlugHeard,
    PushStatus,
    Reading,
    Redial,
    Resubscribe,
    SuspendPath,
)
from market.errors import Reason
from market.machine import Append, LedgerFailed, LinkLost, Received, Recorded, Refused, Repeat, Tell, Tick
from market.terms import Alive, Offer, PowerState, ResolvingKey, Status, Subscribe
from market.units import Role, Service
from v2xnode.clock import Clock
from v2xnode.devices.interface import PATTERN_BITS
from v2xnode.envelope import FrameInvalid, Item, Link, Plain, read
from v2xnode.envelope import Reading as Context
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.links import AcceptedLink, RawItems
from v2xnode.metering import (
    Metered,
    News,
    PathDerated,
    PathEnding,
    PathFailed,
    PathOff,
    PathReached,
    PlugTold,
    PowerPath,
)
from v2xnode.power.events import (
    Begin,
    Milestone,
    Pause,
    PeerPlug,
    PlugReport,
    PowerAllowed,
    Resume,
    SetPower,
)
from v2xnode.power.profiles import direction_of
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.channel import Channel, ClientChannel, ProviderChannel

MAX_INBOX = 512
"""Things that one session may have to look at: half a minute of readings; more means that the disk hangs."""
LINGER_MS = 30_000
"""World time that a delivery whose Close nobody answered waits for a late Receipt before it is put away."""

WRONG_PLUG = "wrong_plug"
_ENDINGS = {
    "peer_ended": Reason.STOPPED_BY_PEER,
    "supply_ended": Reason.STOPPED_BY_PEER,
    "pause_expired": Reason.PAUSE_EXPIRED,
}


class DeliveryMachine(Protocol):
    """What both roles' machines have."""

    def handle(self, event: object, now_ms: int) -> Sequence[Any]: ...

    def deadline_ms(self) -> int | None: ...


@dataclass(slots=True)
class Question:
    """A frame of the client's that waits for the session's answer."""

    link: AcceptedLink
    items: RawItems
    answer: "asyncio.Future[Sequence[Item]]"


@dataclass(frozen=True, slots=True)
class Heard:
    """Items that the provider answered or pushed."""

    items: RawItems


@dataclass(frozen=True, slots=True)
class Arrived:
    """The peer has these entries of ours."""

    digests: tuple[bytes, ...]


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
    begin: Begin
    books: Books
    clock: Clock
    events: EventLog
    met: Callable[[bytes, bytes], Awaitable[None]]
    redial: Callable[[], None] = lambda: None
    started: Callable[[], None] = lambda: None
    path: PowerPath = field(init=False)
    finished: Finished | None = None
    is_put_away: bool = False
    _inbox: "asyncio.Queue[object]" = field(default_factory=lambda: asyncio.Queue(MAX_INBOX))
    _path_reason: Reason | None = None
    _cut: bool = False
    _allowed: bool = False
    _walking: "asyncio.Task[None] | None" = None
    _linger_until_ms: int | None = None
    _last: Reading | None = None
    _first: Reading | None = None

    # what happens outside

    def lost(self) -> None:
        """No link to the peer is left."""
        self.post(LinkLost())

    def post(self, event: object) -> None:
        """Something happened; a session that can't keep up loses readings, never orders or messages."""
        if self._is_behind and isinstance(event, Metered):
            return
        self._inbox.put_nowait(event)

    def news(self, news: News) -> None:
        """What the power path tells."""
        self.post(news)

    async def ask(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """A question of the client's: the session's answer to it."""
        answer: asyncio.Future[Sequence[Item]] = asyncio.get_running_loop().create_future()
        if self.is_put_away or self._is_behind:
            return ()
        self.post(Question(link, items, answer))
        return await answer

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

    @property
    def state(self) -> PowerState:
        """Where our side of the path is."""
        return self.path.state

    @property
    def delivered_wh(self) -> int:
        """By our own meter, since the first reading."""
        return self._last.register_wh - self._first.register_wh if self._last and self._first else 0

    @property
    def power_w(self) -> int:
        return self._last.power_w if self._last else 0

    # the loop

    async def run(self, first: Sequence[object] = ()) -> Finished:
        """Drive until it is over. Cancelled or failing, the path is opened first."""
        try:
            for event in first:
                await self._feed(event)
            while not self._is_over():
                await self._take(await self._next())
            if self._walking is not None:
                await self._walking
        finally:
            await self._put_away()
        if self.finished is None:
            raise AssertionError("a delivery ends with Finished")
        return self.finished

    async def _put_away(self) -> None:
        self.is_put_away = True
        if self._walking is not None and not self._walking.done():
            self._walking.cancel()
            await asyncio.gather(self._walking, return_exceptions=True)
        while not self._inbox.empty():
            left = self._inbox.get_nowait()
            if isinstance(left, Question) and not left.answer.done():
                left.answer.set_result(())

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
        try:
            async with asyncio.timeout(wait_s):
                return await self._inbox.get()
        except TimeoutError:
            return Tick()

    async def _take(self, event: object) -> None:
        match event:
            case Question():
                await self._answer(event)
            case Heard():
                for raw in event.items:
                    await self._hear(raw)
            case Arrived():
                await self.books.acknowledged(event.digests)
            case Metered() | PlugTold() | PathReached() | PathDerated() | PathFailed() | PathEnding() | PathOff():
                await self._path_news(event)
            case _:
                await self._feed(event)

    async def _feed(self, event: object) -> None:
        for effect in self.machine.handle(event, self.clock.monotonic_ms()):
            await self._do(effect)

    # the peer

    async def _answer(self, question: Question) -> None:
        channel = self.channel
        if not isinstance(channel, ProviderChannel):
            raise TypeError("only a provider is asked")
        channel.move(question.link)
        channel.begin_answer()
        subscribed = False
        try:
            for raw in question.items:
                item = await self._hear(raw)
                subscribed = subscribed or (item is not None and isinstance(item.message, Subscribe))
        finally:
            answer = list(channel.end_answer())
            if subscribed:
                answer = channel.state_items()
            if not question.answer.done():
                question.answer.set_result(answer)

    async def _hear(self, raw: list[Any]) -> Item | None:
        try:
            item = read(raw, self.context())
            if isinstance(item, Link):
                await self.books.receive(item)
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

    # the power path

    async def _path_news(self, news: News) -> None:
        match news:
            case Metered(reading):
                out = self.role is Role.PROVIDER
                register_wh = reading.export_wh if out else reading.import_wh
                self._last = Reading(reading.at_ms, register_wh, abs(reading.power_w))
                self._first = self._first or self._last
                await self._feed(self._last)
            case PlugTold(report):
                await self._feed(OwnPlug(report.round, report.step, report.pattern, report.voltage_mv))
            case PathReached(milestone):
                self.events.tell("path", self.request_id, milestone=milestone.value)
                if milestone is Milestone.READY_FOR_POWER:
                    await self._feed(PathPrepared())
            case PathDerated(power_w, reason):
                self.events.tell("derated", self.request_id, power_w=power_w, reason=reason)
                await self._feed(OwnerLimit(power_w))
            case PathFailed(code, sentence):
                self._path_reason = Reason.WRONG_PLUG if code == WRONG_PLUG else Reason.POWER_FAULT
                self.events.tell("path_fault", self.request_id, code=code, sentence=sentence)
            case PathEnding(reason):
                if not self._cut and self._path_reason is None:
                    self._path_reason = _ENDINGS.get(reason)
            case PathOff():
                await self._feed(PathEnded(self._path_reason))

    def _walk(self) -> None:
        """Begin the path, or go on after a pause with a fresh pattern."""
        if self._walking is None:
            self.started()
            self._walking = asyncio.create_task(self.path.run(self.begin))
            self._walking.add_done_callback(_consume)

    async def _allow(self, power_w: int) -> None:
        if not self._allowed:
            self._allowed = True
            await self.path.feed(PowerAllowed(self.agreement.power_max_w, direction_of(self.begin.role)))
        await self.path.feed(SetPower(power_w))

    async def _cut_power(self, reason: Reason) -> None:
        """Power off, then make durable that this session is stopped."""
        self._cut = True
        await self.path.stop(reason.code)
        if not self.path.begun:
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
                await self._allow(power_w)
            case SuspendPath():
                await self.path.feed(Pause("paused"))
            case BeginPath():
                if self._walking is None:
                    self._walk()
                else:
                    await self.path.feed(Resume(fresh_pattern() if self.begin.pattern is not None else None))
            case PlugHeard(plug):
                if self.path.begun:
                    report = PlugReport(plug.round, plug.step, plug.pattern, plug.voltage_mv)
                    await self.path.feed(PeerPlug(report))
            case Append():
                await self._append(effect)
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

    async def _append(self, effect: Append) -> None:
        try:
            entry = await self.books.append(self.peer, self.request_id, effect.message, effect.answers)
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", self.request_id, code=problem.code, sentence=problem.sentence)
            await self._feed(LedgerFailed())
            return
        self.channel.send(entry)
        await self._feed(Recorded(effect.message, entry.digest))

    async def _repeat(self, digest: bytes) -> None:
        reply = await self.books.reply_to(digest, self.request_id)
        if reply is not None:
            self.channel.send(reply)

    def _push(self, status: Status) -> None:
        if isinstance(self.channel, ProviderChannel):
            self.channel.push_status(status)

    async def _finish(self, finished: Finished) -> None:
        self.finished = finished
        self._linger_until_ms = self.clock.monotonic_ms() + LINGER_MS
        await self.books.end(self.request_id)
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


def fresh_pattern() -> int:
    """A random pattern for the cable; 0 is left out, so that a dead reader can't match."""
    return 1 + secrets.randbelow((1 << PATTERN_BITS) - 1)


def _consume(task: "asyncio.Task[None]") -> None:
    """A path that ended is looked at by `run`; here its exception only must not be called forgotten."""
    if not task.cancelled():
        task.exception()
