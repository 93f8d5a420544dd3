"""What we ask of others: needs, the deliveries that come of them, and those that a restart left to be settled."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.store.view import View
from market.delivery import OwnerStop, Plugged
from market.errors import Reason
from market.terms import ResolvingKey, Shown
from market.units import Role
from v2xnode.clock import Clock
from v2xnode.config import Config
from v2xnode.discovery import Heard
from v2xnode.envelope import Plain
from v2xnode.errors import LocalError, NodeError
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import Links
from v2xnode.paths import Connectors
from v2xnode.trading.asking import Wish
from v2xnode.trading.books import Books
from v2xnode.trading.client_channel import ClientChannel
from v2xnode.trading.deliveries import Deliveries
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.inbox import Heard as HeardItems
from v2xnode.trading.need import Need
from v2xnode.trading.opening import Workshop
from v2xnode.trading.redial import Look, Redial, Redialling
from v2xnode.trading.remains import Remains, unheard
from v2xnode.trading.set_ups import SetUps
from v2xnode.trading.whereabouts import Place, Whereabouts

MAX_TOLD_AT_ONCE = 8
"""Sessions reopened at once to tell a provider what it has not heard; the others wait for the next time."""


@dataclass(slots=True)
class Buying:
    """The buying side of one node. `open` before anything else."""

    config: Config
    identity: Identity
    clock: Clock
    events: EventLog
    books: Books
    connectors: Connectors
    workshop: Workshop
    deliveries: Deliveries
    look: Look
    ended: Callable[[bytes], None]
    """Told the peer of each session that has ended."""
    vouchers: Callable[[bytes], Awaitable[Sequence[Shown]]]
    """Ours that are good at a provider."""
    set_ups: SetUps = field(default_factory=SetUps)
    _whereabouts: Whereabouts = field(init=False)
    _links: Links = field(init=False)
    _needs: list[Need] = field(default_factory=list)
    _callers: set["asyncio.Task[Any]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._whereabouts = Whereabouts(self.books, self.events, self.config.node.prefer, self.clock.link_ms)

    async def open(self, links: Links) -> None:
        """Needs go out over `links`."""
        self._links = links
        await self._whereabouts.load()

    @property
    def tasks(self) -> set["asyncio.Task[Any]"]:
        """That are buying something."""
        return set(self._callers)

    def asks(self, request_id: bytes) -> bool:
        """Whether a need is being agreed under this id."""
        return any(need.asks(request_id) for need in self._needs)

    def withdraw(self) -> None:
        """Whatever is not agreed yet is not wanted any more."""
        for need in self._needs:
            need.withdraw()

    # needs

    async def buy(self, wish: Wish, providers: Sequence[Heard], *, only: str = "") -> bytes:
        """Agree with the best of the providers, receive and settle; the request id of the trade.

        Raises Unreachable, RefusedByLimit, or LocalError with the reason that ended it before any power.
        """
        caller = asyncio.current_task()
        if caller is None or caller in self._callers:
            raise LocalError("One task buys one thing at a time.", code="busy")
        self._callers.add(caller)
        try:
            return await self._buy(wish, providers, only)
        finally:
            self._callers.discard(caller)

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
            self._whereabouts,
            self.vouchers,
            only=only,
        )
        self._needs.append(need)
        try:
            agreed = await need.agree(providers)
        finally:
            self._needs.remove(need)
        delivering, channel = self.workshop.for_client(agreed)
        link = agreed.asked.link
        self.set_ups.begin(delivering.request_id, began_ms, link.bearer)
        delivering.walk.started = lambda: self._note_start(delivering.request_id, channel)
        channel.send(Plain(ResolvingKey(self.identity.resolving_key)))
        first = [Plugged(agreed.asked.ready), HeardItems(agreed.asked.rest)]
        task = self._begin(delivering, channel, first, agreed.elsewhere)
        if need.is_withdrawn:
            delivering.post(OwnerStop(Reason.WITHDRAWN))
        await self._whereabouts.reached(delivering.peer, Place(link.bearer, link.raw.address))
        finished = await asyncio.shield(task)
        if finished.receipts == 0:
            raise LocalError(finished.reason.sentence, code=finished.reason.code)
        return delivering.request_id

    def _note_start(self, request_id: bytes, channel: ClientChannel) -> None:
        self.set_ups.started(request_id, self.clock.link_ms(), channel.link.traffic)

    def _begin(
        self, delivering: Delivering, channel: ClientChannel, first: Sequence[object], hints: Sequence[Place] = ()
    ) -> "asyncio.Task[Any]":
        redial = Redial(self.redialling, delivering, channel, hints)
        delivering.redial = redial.want
        delivering.helpers = (channel.run(), redial.run())
        task = self.deliveries.begin(delivering, first)
        task.add_done_callback(lambda _: self.ended(delivering.peer))
        return task

    @property
    def redialling(self) -> Redialling:
        """How this node finds its peers again."""
        return Redialling(self._links, self.events, self.books, self._whereabouts, self.look, self.identity.entropy)

    # what a restart left

    def reopen(self, left: Remains) -> None:
        """Go on with a session from the ledger; one that can't go on any more is told."""
        try:
            delivering, channel = self.workshop.client_again(left)
        except NodeError as problem:
            self.events.tell("resume_failed", left.request_id, code=problem.code, sentence=problem.sentence)
            return
        self._begin(delivering, channel, left.first)
        delivering.redial()

    def unheard(self, view: View) -> list[bytes]:
        """Sessions that are over on our side, of which a provider has not heard all."""
        waiting = [request_id for request_id in unheard(view) if request_id not in self.deliveries.running]
        return waiting[:MAX_TOLD_AT_ONCE]
