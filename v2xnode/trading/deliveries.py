"""The deliveries under way, of both roles. Each is driven by a task of its own, held against the owner's limits while
it runs, and ends alone: what fails in one opens its path and ends it, and nothing else of this node."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from market.delivery import Finished, OwnerStop
from market.errors import MarketError, Reason
from market.units import Role
from v2xnode.clock import Clock
from v2xnode.devices.errors import DeviceError
from v2xnode.errors import NodeError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.power.errors import InterlockError
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.client_channel import DRAIN_AGAIN_MS, DRAIN_MS, ClientChannel
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.owner import Owner

WATCH_MS = 1_000
"""World time between two looks at the owner's limits while a delivery runs."""

DELIVERY_FAULTS = (NodeError, MarketError, DeviceError, InterlockError)
"""What may end one delivery and must not end the node."""


def _holds_connector(delivering: Delivering) -> bool:
    """One for later gets it then."""
    begins_now = delivering.offer.start_at_ms == 0
    return delivering.role is Role.PROVIDER and (begins_now or delivering.walk.has_begun)


@dataclass(slots=True)
class Deliveries:
    """All deliveries of a node. `open` before anything else."""

    clock: Clock
    events: EventLog
    books: Books
    owner: Owner
    sold: Callable[[bytes, bytes], Awaitable[None]]
    """Told (request id, client) of each sale that came to something, before its client hears no more of it."""
    running: dict[bytes, Delivering] = field(default_factory=dict)
    _group: asyncio.TaskGroup = field(init=False)
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    def open(self, group: asyncio.TaskGroup) -> None:
        """Tasks go into `group` from now on."""
        self._group = group

    def begin(self, delivering: Delivering, first: Sequence[object] = ()) -> "asyncio.Task[Finished]":
        """Drive a delivery to its end, from these events on."""
        self.running[delivering.request_id] = delivering
        task = self._group.create_task(self._deliver(delivering, first))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def in_use(self) -> frozenset[bytes]:
        """Sales that have begun, or may at any moment. The ledger's thread asks too."""
        return frozenset(key for key, each in list(self.running.items()) if _holds_connector(each))

    @property
    def tasks(self) -> set["asyncio.Task[Any]"]:
        """Of deliveries that are not over."""
        return set(self._tasks)

    async def stop(self, request_id: str, reason: Reason) -> list[str]:
        """Stop the delivery of this id (in hexadecimal), or all. Power is told to go off before this returns."""
        chosen = [each for key, each in self.running.items() if request_id in ("", key.hex())]
        for each in chosen:
            each.post(OwnerStop(reason))  # before the path's own news of it, which know no reason
        await asyncio.gather(*(each.walk.cut(reason) for each in chosen))
        return [each.request_id.hex() for each in chosen]

    def as_json(self) -> list[dict[str, Any]]:
        """What runs now, for people and programs."""
        return [
            {
                "request_id": request_id.hex(),
                "role": each.role.name.lower(),
                "peer": each.peer.hex(),
                "bearer": each.channel.bearer,
                "state": each.walk.state.name.lower(),
                "delivered_wh": each.walk.delivered_wh,
                "power_w": each.walk.power_w,
            }
            for request_id, each in self.running.items()
        ]

    async def _deliver(self, delivering: Delivering, first: Sequence[object]) -> Finished:
        self.events.tell(
            "resumed" if delivering.walk.recovers else "agreed",
            delivering.request_id,
            peer=short(delivering.peer),
            role=delivering.role.name.lower(),
        )
        channel = delivering.channel if isinstance(delivering.channel, ClientChannel) else None
        tasks = [asyncio.create_task(each) for each in (self._watch(delivering), *delivering.helpers)]
        try:
            finished = await self._run(delivering, first)
            if delivering.role is Role.PROVIDER and delivering.counts:
                self.owner.sold(finished.agreed_wh)
            if delivering.role is Role.PROVIDER and finished.agreed_wh:
                await self._tell_sold(delivering)
            if channel is not None:
                await channel.drained(DRAIN_AGAIN_MS if delivering.walk.recovers else DRAIN_MS)
                await delivering.catch_up()
            return finished
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.running.get(delivering.request_id) is delivering:  # its peer may have come back meanwhile
                del self.running[delivering.request_id]

    async def _run(self, delivering: Delivering, first: Sequence[object]) -> Finished:
        try:
            return await delivering.run(first)
        except DELIVERY_FAULTS as problem:
            self.events.tell("delivery_failed", delivering.request_id, sentence=str(problem))
        await self._free(delivering)
        return delivering.finished or Finished(Reason.LEDGER_FAULT, 0, (), 0, answered=False)

    async def _tell_sold(self, delivering: Delivering) -> None:
        try:
            await self.sold(delivering.request_id, delivering.peer)
        except LedgerRefused as problem:
            self._tell_fault(delivering, problem)

    async def _free(self, delivering: Delivering) -> None:
        try:
            await self.books.end(delivering.request_id, answered=False)
        except LedgerRefused as problem:
            self._tell_fault(delivering, problem)

    async def _watch(self, delivering: Delivering) -> None:
        """The owner's limits hold while a delivery runs, whatever was agreed."""
        while True:
            await self.clock.sleep_ms(WATCH_MS)
            try:
                reason = await self.owner.reason_to_stop(delivering)
            except LedgerRefused as problem:  # limits that can't be checked can't be kept
                self._tell_fault(delivering, problem)
                reason = Reason.LEDGER_FAULT
            if reason is not None:
                delivering.post(OwnerStop(reason))
                return

    def _tell_fault(self, delivering: Delivering, problem: LedgerRefused) -> None:
        self.events.tell("ledger_failed", delivering.request_id, code=problem.code, sentence=problem.sentence)
