"""All trading of a node: the shop where peers ask, the buying for our own needs, and the deliveries of both."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from market.errors import Reason
from market.terms import Head, Hello, MessageType
from market.units import ServiceBits
from v2xnode.clock import Clock
from v2xnode.config import Config
from v2xnode.discovery import Heard
from v2xnode.envelope import Item, place_of
from v2xnode.errors import LocalError
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import AcceptedLink, Greeting, Links, RawItems
from v2xnode.paths import Connectors
from v2xnode.trading.acquaintances import Acquaintances
from v2xnode.trading.asking import Wish
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.buying import Buying
from v2xnode.trading.calling import Calling
from v2xnode.trading.cashier import Cashier
from v2xnode.trading.correspondence import Correspondence
from v2xnode.trading.deliveries import Deliveries
from v2xnode.trading.opening import Workshop
from v2xnode.trading.owner import Owner
from v2xnode.trading.purse import Purse
from v2xnode.trading.recollection import Recollection
from v2xnode.trading.redial import Look
from v2xnode.trading.remains import Remains, remains, running
from v2xnode.trading.shop import Shop

SETTLE_AGAIN_S = 60.0
"""Real time between the first two attempts at what is not settled; each further one waits for twice as long."""
SETTLE_RARELY_S = 3_600.0
"""The longest wait: a peer may be away for days."""


@dataclass(slots=True)
class Desk:
    """One node's trading. `open` before anything else, `close` last."""

    config: Config
    identity: Identity
    clock: Clock
    events: EventLog
    books: Books
    connectors: Connectors
    look: Look
    owner: Owner = field(init=False)
    deliveries: Deliveries = field(init=False)
    shop: Shop = field(init=False)
    buying: Buying = field(init=False)
    calling: Calling = field(init=False)
    chain: Recollection = field(init=False)
    correspondence: Correspondence = field(init=False)
    cashier: Cashier = field(init=False)
    purse: Purse = field(init=False)
    _acquaintances: Acquaintances = field(init=False)
    _is_open: bool = False
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._acquaintances = Acquaintances(self.books)
        who, clock, events, books = self.identity, self.clock, self.events, self.books
        self.owner = Owner(self.config, clock, events, books, self.connectors, self._acquaintances)
        self.purse = Purse(books, clock, events, self.config.node.currency)
        self.deliveries = Deliveries(clock, events, books, self.owner, self.purse.draw)
        self.owner.in_use = self.deliveries.in_use
        record, met = self.config.electrical.record(), self._acquaintances.met
        workshop = Workshop(who, record, self.connectors, books, clock, events, met)
        self.shop = Shop(who, clock, events, books, self.owner, workshop, self.deliveries)
        self.chain = Recollection(books, clock, events)
        self.correspondence = Correspondence(who, books, clock, events)
        self.calling = Calling(self.correspondence, books, events, lambda: self.buying.redialling)
        self.cashier = Cashier(books, self.calling, clock)
        self.buying = Buying(
            self.config,
            who,
            clock,
            events,
            books,
            self.connectors,
            workshop,
            self.deliveries,
            self.look,
            self.calling.want,
            self.purse.to_show,
        )

    async def open(self, group: asyncio.TaskGroup, links: Links) -> None:
        """Get ready: tasks go into `group`, needs go out over `links`. Sessions that ran when this node went down are
        settled first: until then what they hold stays locked."""
        self.deliveries.open(group)
        await self.buying.open(links)
        await self._acquaintances.load()
        await self.owner.load()
        head = await self.books.run(lambda transaction: transaction.head())
        if head is None:
            raise LocalError("The ledger has no chain of ours.", code="ledger_invalid")
        self._is_open = True
        await self._reopen_all()
        self.shop.is_open = True
        self._tasks = [group.create_task(self._keep_settling()), group.create_task(self.calling.run())]

    async def _keep_settling(self) -> None:
        """For ever: what a fault left open, and what a provider has not heard, is tried again, more and more rarely."""
        wait_s = SETTLE_AGAIN_S
        while True:
            await asyncio.sleep(wait_s)
            tried = await self._reopen_all()
            wait_s = min(2 * wait_s, SETTLE_RARELY_S) if tried else SETTLE_AGAIN_S

    async def _reopen_all(self) -> bool:
        """Whether there was anything. A ledger that fails is told, and holds up no other session: each may have power
        paths to bring down."""
        try:
            held = [*await self.books.run(running), *await self.books.run(self.buying.unheard)]
            to_tell = await self.calling.want_unheard()
        except LedgerRefused as problem:
            self._tell_fault(problem)
            return True
        left = [each for each in held if each not in self.deliveries.running and not self.buying.asks(each)]
        for request_id in left:
            try:
                await self._reopen(request_id)
            except LedgerRefused as problem:
                self._tell_fault(problem)
        return bool(left) or to_tell

    def _tell_fault(self, problem: LedgerRefused) -> None:
        self.events.tell("ledger_failed", code=problem.code, sentence=problem.sentence)

    async def _reopen(self, request_id: bytes) -> None:
        left: Remains | None = await self.books.run(lambda view: remains(view, request_id))
        if left is None:
            await self.books.end(request_id, answered=False)
        elif left.is_sale and left.is_over:  # we went down between the last word and the end of its locks
            await self.books.end(request_id, answered=True)
        elif left.is_sale:
            await self.shop.reopen(left.peer, request_id)
        else:
            self.buying.reopen(left)

    async def close(self, settle_s: float) -> None:
        """Power off everywhere first; then what settles within `settle_s` settles; then everything ends."""
        self.shop.is_open = False
        await self.stop("", Reason.SHUTDOWN)
        for task in self._tasks:
            task.cancel()
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
        return {task for task in self.deliveries.tasks | self.buying.tasks if task is not asyncio.current_task()}

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

    async def greet(self, peer: bytes | None) -> Greeting:
        """Our greeting, with the newest entry of the peer's chain that we hold. Raises LocalError before `open`."""
        if not self._is_open:
            raise LocalError("The node is starting.", code="starting")
        epoch, held = await self.books.heads(peer)
        hello = Hello(
            services=self.provides,
            electrical=self.config.electrical.record(),
            currency=self.config.node.currency,
            epoch=epoch,
            holds=() if held is None else (Head(*place_of(held.entry)),),
            node=self.identity.public if self.identity.is_rotated else b"",
        )
        return Greeting(hello, held.hash if held else b"")

    async def battery(self) -> dict[str, Any] | None:
        """The battery behind this node, for its owner."""
        return await self.owner.battery_json()

    def set_up(self, request_id: bytes) -> dict[str, Any]:
        """What the set-up of a trade took, where we were the client and have run since."""
        return self.buying.set_ups.as_json(request_id)

    async def stop(self, request_id: str, reason: Reason) -> list[str]:
        """Stop the delivery of this id, or everything. Power is told to go off before this returns."""
        if not request_id:
            self.buying.withdraw()
            self.shop.withdraw(reason)
        return await self.deliveries.stop(request_id, reason)

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """Answer one frame of a peer. Raises PeerError for what breaks the rules."""
        if items and items[0][0] == MessageType.CORRESPOND:
            return await self.correspondence.serve(link, items)
        return await self.shop.serve(link, await self.purse.keep_shown(link, items))

    async def buy(self, wish: Wish, providers: Sequence[Heard], *, only: str = "") -> bytes:
        """See `Buying.buy`. Raises LocalError while the node is stopping."""
        if not self.shop.is_open:
            raise LocalError("The node is stopping.", code="stopping")
        return await self.buying.buy(wish, providers, only=only)
