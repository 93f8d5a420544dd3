"""All trading of a node: requests of peers come in here, our own needs go out from here, and running deliveries are
kept here. Every bound on what strangers can make us hold in memory is in this room."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from market.delivery import Finished, OwnerStop, Plugged
from market.errors import MarketError, Reason
from market.machine import LinkResumed
from market.negotiation import Confirmed
from market.terms import Decline, Head, Hello, MessageType, Request, ResolvingKey, Resume
from market.units import Role, ServiceBits
from v2xnode.clock import Clock
from v2xnode.config import Config
from v2xnode.devices.errors import DeviceError
from v2xnode.discovery import Heard
from v2xnode.envelope import FrameInvalid, Item, Letter, Plain, read, request_id_in, session_tag
from v2xnode.errors import LocalError, NodeError
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.links import AcceptedLink, Links, RawItems
from v2xnode.paths import Connectors
from v2xnode.power.errors import InterlockError
from v2xnode.trading.acquaintances import Acquaintances
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.channel import ClientChannel
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.need import Need, Wish
from v2xnode.trading.opening import Workshop
from v2xnode.trading.owner import Asker, Owner
from v2xnode.trading.selling import Selling
from v2xnode.trading.set_ups import SetUps

MAX_REQUESTS = 256
"""Requests of all peers held at once, a few KiB each; the oldest that came to nothing makes room."""
MAX_REQUESTS_OF_PEER = 8
"""A peer with more open requests than this is asking for something else than energy."""
WATCH_MS = 1_000
"""World time between two looks at the owner's limits while a delivery runs."""

DELIVERY_FAULTS = (NodeError, MarketError, DeviceError, InterlockError)
"""What may end one delivery and must not end the node."""


@dataclass(slots=True)
class Desk:
    """One node's trading. `open` before anything else, `close` last."""

    config: Config
    identity: Identity
    clock: Clock
    events: EventLog
    books: Books
    connectors: Connectors
    owner: Owner = field(init=False)
    _acquaintances: Acquaintances = field(init=False)
    _workshop: Workshop = field(init=False)
    _links: Links = field(init=False)
    _group: asyncio.TaskGroup = field(init=False)
    _epoch: bytes = b""
    _selling: dict[bytes, Selling] = field(default_factory=dict)
    _running: dict[bytes, Delivering] = field(default_factory=dict)
    _needs: list[Need] = field(default_factory=list)
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)
    _set_ups: SetUps = field(default_factory=SetUps)
    _buying: set["asyncio.Task[Any]"] = field(default_factory=set)
    _redials: dict[bytes, "asyncio.Task[None]"] = field(default_factory=dict)
    _closing: bool = True
    """Also before it is open: bearers may hear peers before the ledger was read."""

    def __post_init__(self) -> None:
        self._acquaintances = Acquaintances(self.books)
        self.owner = Owner(self.config, self.clock, self.events, self.books, self.connectors, self._acquaintances)
        self._workshop = Workshop(
            self.identity,
            self.config.electrical.record(),
            self.connectors,
            self.books,
            self.clock,
            self.events,
            self._acquaintances.met,
        )

    async def open(self, group: asyncio.TaskGroup, links: Links) -> None:
        """Get ready: tasks go into `group`, needs go out over `links`."""
        self._group, self._links = group, links
        await self._acquaintances.load()
        pass
        await self.owner.load()
        head = await self.books.run(lambda transaction: transaction.head())
        if head is None:
            raise LocalError("The ledger has no chain of ours.", code="ledger_invalid")
        self._epoch = head.entry.epoch
        self._closing = False

    async def close(self, settle_s: float) -> None:
        """Power off everywhere first; then what settles within `settle_s` settles; then everything ends."""
        self._closing = True
        await self.stop("", Reason.SHUTDOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(settle_s):
                while left := self._busy_tasks():
                    await asyncio.wait(left)
        while left := self._busy_tasks():
            for task in left:
                task.cancel()
            await asyncio.wait(left)

    def _busy_tasks(self) -> set["asyncio.Task[Any]"]:
        """What has to end before the bearers do; a caller that closes us while it buys can't wait for itself."""
        return {task for task in (*self._tasks, *self._buying) if task is not asyncio.current_task()}

    # what others ask of the desk

    @property
    def provides(self) -> ServiceBits:
        """What we sell at this moment."""
        return self.owner.provides

    def is_known(self, peer: bytes) -> bool:
        """Whether a peer may talk to us while we are visible to known ones only."""
        return self.owner.lists(peer) or self._acquaintances.knows(peer)

    async def resolving_keys(self) -> Mapping[bytes, bytes]:
        """Known peers and the keys that resolve their identifiers."""
        return self._acquaintances.keys

    async def hello(self, peer: bytes | None) -> Hello:
        """Our greeting, with the newest entry of the peer's chain that we hold. Raises LocalError before `open`."""
        if not self._epoch:
            raise LocalError("The node is starting.", code="starting")
        held = await self.books.run(lambda transaction: transaction.newest_of(peer)) if peer else None
        return Hello(
            services=self.provides,
            electrical=self.config.electrical.record(),
            currency=self.config.node.currency,
            epoch=self._epoch,
            holds=(Head(*held),) if held else (),
        )

    async def battery(self) -> dict[str, Any] | None:
        """The battery behind this node, for its owner."""
        return await self.owner.battery_json()

    def deliveries(self) -> list[dict[str, Any]]:
        """What runs now."""
        return [
            {
                "request_id": request_id.hex(),
                "role": each.role.name.lower(),
                "peer": each.peer.hex(),
                "state": each.walk.state.name.lower(),
                "delivered_wh": each.walk.delivered_wh,
                "power_w": each.walk.power_w,
            }
            for request_id, each in self._running.items()
        ]

    def set_up(self, request_id: bytes) -> dict[str, Any]:
        """What the set-up of a trade took, where we were the client and have run since."""
        return self._set_ups.as_json(request_id)

    async def stop(self, request_id: str, reason: Reason) -> list[str]:
        """Stop the delivery of this id, or everything. Power is told to go off before this returns."""
        chosen = [each for key, each in self._running.items() if request_id in ("", key.hex())]
        if not request_id:
            for need in self._needs:
                need.withdraw()
            for selling in self._selling.values():
                selling.withdraw(reason)
        for each in chosen:
            each.post(OwnerStop(reason))  # before the path's own news of it, which know no reason
        await asyncio.gather(*(each.walk.cut(reason) for each in chosen))
        return [each.request_id.hex() for each in chosen]

    # selling

    async def serve(self, link: AcceptedLink, tag: int, items: RawItems) -> Sequence[Item]:
        """Answer one frame of a peer. Raises PeerError for what breaks the rules."""
        if not items:
            return ()
        if items[0][0] == MessageType.REQUEST:
            return await self._requested(link, items[0])
        if items[0][0] == MessageType.RESUME:
            return self._resumed(link, items)
        if not link.session.established:
            raise FrameInvalid("A link opens with a request or a resumption, and nothing else.")
        selling = self._find(link.peer, tag)
        if selling is None or (self._closing and selling.delivering is None):
            return [Plain(Decline(request_id=bytes(16), reason=Reason.REQUEST_UNKNOWN))]
        return await selling.serve(link, items)

    def _find(self, peer: bytes, tag: int) -> Selling | None:
        same = (each for each in self._selling.values() if each.peer == peer and each.tag == tag)
        return next(same, None)

    async def _requested(self, link: AcceptedLink, raw: list[Any]) -> Sequence[Item]:
        request_id = request_id_in(raw)
        known = self._selling.get(request_id or b"")
        if known is not None and known.peer == link.peer:
            return await known.again(raw)
        letter = read(raw, link.context(self.identity.public, request_id))
        if not isinstance(letter, Letter) or not isinstance(letter.message, Request):
            raise FrameInvalid("A request is signed.")
        request = letter.message
        asker = Asker(link.peer, link.hello.electrical, link.hello.currency)
        taken = known is not None or self._find(link.peer, session_tag(request.request_id)) is not None
        if taken or self._closing or not self._make_room(link.peer):
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
            begin=self._begin_selling,
        )
        self._selling[request.request_id] = selling
        return await selling.open()

    def _make_room(self, peer: bytes) -> bool:
        """Forget what is over; then the oldest that has come to nothing yet, of this peer or of all. False: nothing
        may be forgotten."""
        for request_id in [key for key, each in self._selling.items() if each.is_over]:
            del self._selling[request_id]
        of_peer = [key for key, each in self._selling.items() if each.peer == peer]
        if len(of_peer) < MAX_REQUESTS_OF_PEER and len(self._selling) < MAX_REQUESTS:
            return True
        crowd = of_peer if len(of_peer) >= MAX_REQUESTS_OF_PEER else list(self._selling)
        oldest = next((key for key in crowd if self._selling[key].is_undecided), None)
        if oldest is not None:
            del self._selling[oldest]
        return oldest is not None

    def _resumed(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """A new link of a peer whose session runs: nothing moves there before a record proves that it lives."""
        resume = read(items[0], link.context(self.identity.public, None)).message
        selling = self._selling.get(resume.session_id) if isinstance(resume, Resume) else None
        if selling is None or selling.peer != link.peer or selling.is_over:
            return [Plain(Decline(request_id=bytes(16), reason=Reason.REQUEST_UNKNOWN))]
        return ()

    def _begin_selling(self, selling: Selling, confirmed: Confirmed) -> Delivering:
        delivering = self._workshop.for_provider(selling, confirmed)
        delivering.channel.send(Plain(ResolvingKey(self.identity.resolving_key)))
        self._start(delivering)
        if selling.withdrawn is not None:
            delivering.post(OwnerStop(selling.withdrawn))
        return delivering

    # buying

    async def buy(self, wish: Wish, providers: Sequence[Heard], *, only: str = "") -> bytes:
        """Agree with the best of the providers, receive and settle; the request id of the trade.

        Raises Unreachable, RefusedByLimit, or LocalError with the reason that ended it before any power.
        """
        if self._closing:
            raise LocalError("The node is stopping.", code="stopping")
        caller = asyncio.current_task()
        if caller is None or caller in self._buying:
            raise LocalError("One task buys one thing at a time.", code="busy")
        self._buying.add(caller)
        try:
            return await self._buy(wish, providers, only)
        finally:
            self._buying.discard(caller)

    async def _buy(self, wish: Wish, providers: Sequence[Heard], only: str) -> bytes:
        began_ms = self.clock.link_ms()
        need = Need(
            wish,
            self.identity,
            self._links,
            self.books,
            self.clock,
            self.events,
            self.connectors.record_as(Role.CLIENT, self.config.electrical.record()),
            self.config.node.currency,
            only=only,
        )
        self._needs.append(need)
        try:
            agreed = await need.agree(providers)
        finally:
            self._needs.remove(need)
        delivering, channel = self._workshop.for_client(agreed)
        link = agreed.asked.link
        self._set_ups.begin(delivering.request_id, began_ms, link.bearer)
        delivering.walk.started = lambda: self._note_start(delivering.request_id, channel)
        delivering.redial = lambda: self._redial_once(delivering, channel)
        channel.send(Plain(ResolvingKey(self.identity.resolving_key)))
        task = self._start(delivering, channel)
        if need.is_withdrawn:
            delivering.post(OwnerStop(Reason.WITHDRAWN))
        finished = await asyncio.shield(task)
        if finished.receipts == 0:
            raise LocalError(finished.reason.sentence, code=finished.reason.code)
        return delivering.request_id

    def _note_start(self, request_id: bytes, channel: ClientChannel) -> None:
        self._set_ups.started(request_id, self.clock.link_ms(), channel.link.traffic)

    def _redial_once(self, delivering: Delivering, channel: ClientChannel) -> None:
        """Redial unless that is under way: dialling a dead peer lasts for several silences."""
        under_way = self._redials.get(delivering.request_id)
        if under_way is None or under_way.done():
            task = self._group.create_task(self._redial(delivering, channel))
            self._redials[delivering.request_id] = task
            self._keep(task)

    async def _redial(self, delivering: Delivering, channel: ClientChannel) -> None:
        """Reach the provider again where it was reached before, or wherever it is seen now, and go on."""
        peer, address = delivering.peer, channel.link.raw.address
        tag, resume = session_tag(delivering.request_id), Resume(delivering.request_id)
        try:
            link, said = await self._links.dial(channel.link.bearer, address, peer, lambda _: (tag, [Plain(resume)]))
        except NodeError as problem:
            self.events.tell("redial_failed", delivering.request_id, code=problem.code, sentence=problem.sentence)
            return
        await channel.move(link)
        delivering.post(LinkResumed())
        if said:  # a session that goes on is answered with nothing: the provider does not know this one any more
            delivering.post(OwnerStop(Reason.STOPPED_BY_PEER))

    # both

    def _start(self, delivering: Delivering, channel: ClientChannel | None = None) -> "asyncio.Task[Finished]":
        self._running[delivering.request_id] = delivering
        task = self._group.create_task(self._deliver(delivering, channel))
        self._keep(task)
        return task

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivering: Delivering, channel: ClientChannel | None) -> Finished:
        self.events.tell(
            "agreed", delivering.request_id, peer=short(delivering.peer), role=delivering.role.name.lower()
        )
        helpers = [asyncio.create_task(self._watch(delivering))]
        if channel is not None:
            helpers.append(asyncio.create_task(channel.run()))
        try:
            finished = await self._run(delivering)
            if delivering.role is Role.PROVIDER:
                self.owner.sold(finished.agreed_wh)
            if channel is not None:
                await channel.drained()
            return finished
        finally:
            redial = self._redials.pop(delivering.request_id, None)
            for task in (*helpers, *([redial] if redial is not None else [])):
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            del self._running[delivering.request_id]

    async def _run(self, delivering: Delivering) -> Finished:
        """Run it to its end. What fails in it opens its path and ends it, and nothing else of this node."""
        try:
            return await delivering.run([Plugged()] if delivering.role is Role.CLIENT else [])
        except DELIVERY_FAULTS as problem:
            self.events.tell("delivery_failed", delivering.request_id, sentence=str(problem))
        try:
            await self.books.end(delivering.request_id, answered=False)
        except LedgerRefused as problem:
            self.events.tell("ledger_failed", delivering.request_id, code=problem.code, sentence=problem.sentence)
        return delivering.finished or Finished(Reason.LEDGER_FAULT, 0, (), 0, answered=False)

    async def _watch(self, delivering: Delivering) -> None:
        """The owner's limits hold while a delivery runs, whatever was agreed."""
        while True:
            await self.clock.sleep_ms(WATCH_MS)
            try:
                reason = await self.owner.reason_to_stop(delivering)
            except LedgerRefused as problem:  # limits that can't be checked can't be kept
                self.events.tell("ledger_failed", delivering.request_id, code=problem.code, sentence=problem.sentence)
                reason = Reason.LEDGER_FAULT
            if reason is not None:
                delivering.post(OwnerStop(reason))
                return
