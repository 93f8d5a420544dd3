"""The node: everything put together, and the methods that every door calls (CLI, API, coordinator).

One TaskGroup owns all tasks. Leaving `open_node` stops in any state: power off first, then what can be settled in a
few seconds, then the bearers, then the ledger.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ledger.store.transaction import Transaction
from market.errors import Reason
from market.units import Service
from transports.interface import IDENTIFIER_BYTES, Announcement, Sighting, Transport
from transports.secure import Visibility
from v2xnode.clock import Clock
from v2xnode.config import Config
from v2xnode.discovery import LOOK_MS, Discovery, Heard, in_fair_order
from v2xnode.errors import Unreachable, UsageError
from v2xnode.events import EventLog
from v2xnode.groups import errors_as_they_are
from v2xnode.identity import Identity
from v2xnode.links import Links
from v2xnode.paths import Connectors
from v2xnode.settling.trades import describe, trade, trades
from v2xnode.trading.asking import Wish
from v2xnode.trading.books import Books
from v2xnode.trading.desk import Desk

LOOK_AGAIN = 4
"""So many times as long is looked where the first look shows no provider: a radio or a slow site was missed."""
SETTLE_S = 5.0
"""Real seconds that a stopping node gives its deliveries to settle, after their power is off."""


class Node:
    """A running node. Made by `open_node`."""

    def __init__(
        self,
        config: Config,
        identity: Identity,
        clock: Clock,
        events: EventLog,
        books: Books,
        transports: Mapping[str, Transport],
        connectors: Connectors,
    ) -> None:
        self._config = config
        self._identity = identity
        self._clock = clock
        self.events = events
        self._books = books
        self._desk = Desk(config, identity, clock, events, books, connectors, self.discover)
        self._links = Links(
            identity,
            transports,
            clock,
            events,
            greet=self._desk.greet,
            serve=self._desk.serve,
            chains=self._desk.chain,
            known=self._desk.is_known,
            visibility=Visibility(config.node.visibility.value),
        )
        self._discovery = Discovery(
            identity,
            transports,
            clock,
            events,
            visibility=config.node.visibility,
            provides=lambda: self._desk.provides,
            resolving_keys=self._desk.resolving_keys,
        )

    @property
    def name(self) -> str:
        return self._config.node.name

    @property
    def node_id(self) -> str:
        return self._identity.node_id

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the bearers and trade until the context ends; then stop as the module says."""
        async with self._links.serving():
            with errors_as_they_are():
                async with asyncio.TaskGroup() as group:
                    await self._desk.open(group, self._links)
                    announcing = group.create_task(self._discovery.keep_announcing())
                    try:
                        yield
                    finally:
                        await self._desk.close(SETTLE_S)
                        announcing.cancel()

    def link_ms(self) -> int:
        """Real monotonic milliseconds: what sightings are dated by."""
        return self._clock.link_ms()

    # the methods that doors call

    async def status(self) -> dict[str, Any]:
        """Who this node is, what it does now, and what its bearers carried."""
        return {
            "node": self.node_id,
            "name": self.name,
            "at_ms": self._clock.wall_ms(),
            "provides": [bit.name for bit in self._desk.provides],
            "battery": await self._desk.battery(),
            "deliveries": self._desk.deliveries.as_json(),
            "bearers": self.bearers,
        }

    @property
    def bearers(self) -> dict[str, Any]:
        """What each bearer carried, and why it is not open where it is not."""
        return self._links.bearers

    async def discover(self, window_ms: int = LOOK_MS) -> list[Heard]:
        """Look around on every bearer."""
        return await self._discovery.look(window_ms)

    async def request(self, wish: Wish, *, peer: str = "", address: str = "", look_ms: int = LOOK_MS) -> dict[str, Any]:
        """Find providers, agree with the best, receive, settle; the trade as our ledger has it.

        peer: only the provider whose id begins so; address: only the one at `bearer:address`; look_ms: how long to
        look around for them.
        Raises Unreachable, RefusedByLimit, or what stopped the delivery.
        """
        providers = [_typed(address)] if address else await self._providers(wish.service, look_ms)
        request_id = await self._desk.buy(wish, providers, only=peer)
        return await self.trade(request_id)

    async def _providers(self, service: Service, look_ms: int) -> list[Heard]:
        """In reach now; where nobody is, a longer look is worth more than a refusal."""
        for window_ms in (look_ms, LOOK_AGAIN * look_ms):
            found = [heard for heard in await self.discover(window_ms) if heard.provides & service.bit]
            if found:
                return in_fair_order(found, self._identity.entropy)
        raise Unreachable(f"Nobody in reach offers {service.name}.", code="no_provider")

    async def trade(self, request_id: bytes) -> dict[str, Any]:
        """One trade. Raises UsageError for an id that the ledger does not know."""

        def look(transaction: Transaction) -> dict[str, Any] | None:
            found = trade(transaction, request_id)
            return None if found is None else {**found.as_json(), "sentence": describe(found)}

        found = await self._books.run(look)
        if found is None:
            raise UsageError("No such trade is in this ledger.", code="unknown_trade")
        return {**found, **self._desk.set_up(request_id)}

    async def trades(self) -> list[dict[str, Any]]:
        """All trades, oldest first."""
        found = await self._books.run(
            lambda transaction: [{**each.as_json(), "sentence": describe(each)} for each in trades(transaction)]
        )
        return [{**each, **self._desk.set_up(bytes.fromhex(each["request_id"]))} for each in found]

    async def allow(self, name: str) -> str:
        """Say yes to a stranger who has asked: its node id. Raises UsageError for a name that is nobody's."""
        return (await self._desk.owner.allow(name)).hex()

    async def account(self, step: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """One of the owner's steps about money after the trades, by its name in `settling.steps.STEPS`."""
        return await self._desk.cashier.take(step, params)

    async def stop(self, request_id: str = "", reason: Reason = Reason.STOPPED_BY_OWNER) -> list[str]:
        """Stop one delivery, or all: power off now, settle after. The request ids stopped."""
        return await self._desk.stop(request_id, reason)


def _typed(address: str) -> Heard:
    """A provider at an address that a person typed, e.g. `coap:192.0.2.7:5701`. Raises UsageError."""
    bearer, _, place = address.partition(":")
    if not bearer or not place:
        raise UsageError("An address is a bearer, a colon and the place, e.g. coap:192.0.2.7:5701.", code="malformed")
    return Heard(Sighting(bearer, place, Announcement(0, 0, bytes(IDENTIFIER_BYTES)), 0), None)
