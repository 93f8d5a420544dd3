"""A data directory becomes a running node."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ledger.store.directory import DirectoryLock
from ledger.store.writer import Writer
from transports.interface import Transport
from v2xnode.bearers import open_bearers
from v2xnode.clock import Clock, real_clock
from v2xnode.config import Config, load_config
from v2xnode.control import serving_control
from v2xnode.events import EventLog
from v2xnode.groups import errors_as_they_are
from v2xnode.identity import load_identity
from v2xnode.node.doorkeeper import Doorkeeper
from v2xnode.node.node import Node
from v2xnode.paths import open_connectors
from v2xnode.rotation import open_ledger, settle
from v2xnode.trading.books import Books


@asynccontextmanager
async def open_node(data: Path, bearers: Mapping[str, Transport] | None = None) -> AsyncIterator[Node]:
    """Run the node of a data directory, with its control socket; over the configured bearers, or over these.

    Raises ConfigError, LocalError, DirectoryHeld, StoreFailed, DeviceError or TransportError, each saying what to do;
    StoreFailed also later, when the connection to the ledger's server is lost.
    """
    config = load_config(data)
    load_identity(data)  # says what is missing before anything is locked
    clock = clock_of(config)
    async with AsyncExitStack() as stack:
        stack.enter_context(DirectoryLock(data))
        where = config.ledger_at(data)
        settle(data, where)
        writer = stack.enter_context(Writer(lambda: open_ledger(data, where)))
        identity = replace(load_identity(data), public=writer.node)
        connectors = await stack.enter_async_context(open_connectors(config))
        events = EventLog(clock)
        transports = open_bearers(config, identity.seed) if bearers is None else bearers
        node = Node(config, identity, clock, events, Books(writer, clock), transports, connectors)
        await stack.enter_async_context(node.running())
        await stack.enter_async_context(ending_with(writer.lost))
        await stack.enter_async_context(serving_control(data, Doorkeeper(node).dispatch))
        yield node


@asynccontextmanager
async def ending_with(lost: Future[None]) -> AsyncIterator[None]:
    """Leave with the error of `lost` as soon as it has one."""
    with errors_as_they_are():
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_raised(lost))
            try:
                yield
            finally:
                waiting.cancel()


async def _raised(lost: Future[None]) -> None:
    await asyncio.wrap_future(lost)


def clock_of(config: Config) -> Clock:
    """The world's clock as configured; the machine's own where nothing is."""
    section = config.clock
    if section.world_origin_ms == section.real_origin_ms == 0:
        return real_clock(section.speed)
    return Clock(section.speed, section.world_origin_ms, section.real_origin_ms)
