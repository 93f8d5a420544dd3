"""The air: a process in which nodes meet that have no radio.

    python -m transports.ble.virtual.air unix:/tmp/air.sock --control unix:/tmp/air-control.sock

Each connection to the first place is one node's HCI (H4 framing); a node that goes away takes its links with it. The
second place takes lines and answers each with `ok`, a number and the end of the line, or with `error` and why:

    cut ADDRESS     the node there hears nothing and is not heard
    mend ADDRESS    until now
    drop ADDRESS    break its links; how many there were
    drop            break one link that chance picks (`--seed`)
    links           how many links there are
"""

import argparse
import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import cast

from bumble.hci import Address
from bumble.transport.common import PacketParser, TransportSink

from transports.ble.virtual.ether import AirController, Ether
from transports.ble.virtual.streams import CHUNK_BYTES, Met, Place, parse_place

MAX_NODES = 64
"""Controllers of one air: a car park, and all that one process carries at a useful pace."""

MAX_UNREAD_BYTES = 1 << 20
"""Of one node; one that reads no more is let go."""

MAX_LINE_BYTES = 200


class _Host:
    """The way back to a node, as bumble's controllers see it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def on_packet(self, packet: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._writer.transport.abort()
        if not self._writer.is_closing():
            self._writer.write(packet)


class _Source:
    """The way from a node to its controller; an octet that no HCI packet begins with ends it."""

    def __init__(self) -> None:
        self.parser = PacketParser()
        self.terminated: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set_packet_sink(self, sink: TransportSink) -> None:
        self.parser.set_packet_sink(sink)


class Air:
    """All nodes in reach of each other. latency_ms: see `Ether`; seed: which links `drop` picks."""

    def __init__(self, latency_ms: int = 0, seed: int = 0) -> None:
        self.ether = Ether(latency_ms)
        self._random = Random(seed)  # noqa: S311 - chance that can be repeated, not a secret
        self._made = 0

    @asynccontextmanager
    async def listening(self, place: Place, control: Place | None = None) -> AsyncIterator["Open"]:
        """Raises OSError where a place is taken."""
        async with AsyncExitStack() as stack:
            nodes = await stack.enter_async_context(_served(place, self._node))
            orders = None if control is None else await stack.enter_async_context(_served(control, self._orders))
            yield Open(nodes, orders)

    def drop_any(self) -> int:
        """See `Ether.drop_any`."""
        return self.ether.drop_any(self._random)

    async def _node(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.ether.controllers) >= MAX_NODES:
            return
        self._made += 1
        source = _Source()
        controller = AirController(
            f"node {self._made}",
            host_source=source,
            host_sink=_Host(writer),
            link=self.ether,
            public_address=Address(f"02:00:00:00:{self._made >> 8:02X}:{self._made & 255:02X}/P"),
        )
        try:
            while data := await reader.read(CHUNK_BYTES):
                source.parser.feed_data(data)
        except (OSError, ValueError) as problem:
            logging.getLogger(__name__).warning("node %d is let go: %s", self._made, problem)
        finally:
            self.ether.leave(controller)

    async def _orders(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                writer.write(self._obey(line.decode(errors="replace").split()).encode() + b"\n")
                await writer.drain()

    def _obey(self, words: list[str]) -> str:
        match words:
            case ["cut", address]:
                self.ether.cut(address.upper())
                return "ok 1"
            case ["mend", address]:
                self.ether.mend(address.upper())
                return "ok 1"
            case ["drop", address]:
                return f"ok {self.ether.drop(address.upper())}"
            case ["drop"]:
                return f"ok {self.drop_any()}"
            case ["links"]:
                return f"ok {len(self.ether.links())}"
        return "error: cut ADDRESS, mend ADDRESS, drop [ADDRESS] or links"


@dataclass(frozen=True, slots=True)
class Open:
    """Where an air listens in fact."""

    nodes: Place
    control: Place | None


@asynccontextmanager
async def _served(place: Place, met: Met) -> AsyncIterator[Place]:
    """A server whose connections end with it."""
    running: set[asyncio.Task[None]] = set()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        running.add(task)
        try:
            await met(reader, writer)
        except asyncio.CancelledError:
            pass  # we are closing: asyncio's own callback would take it for an error
        finally:
            running.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server, bound = await place.listen(greet)
    try:
        yield bound
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


async def _main(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    control = parse_place(arguments.control) if arguments.control else None
    air = Air(arguments.latency_ms, arguments.seed)
    async with air.listening(parse_place(arguments.nodes), control) as opened:
        print(f"air {opened.nodes} {opened.control or '-'}", flush=True)
        await stopped.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="air", description="Bluetooth Low Energy without a radio")
    parser.add_argument("nodes", help="where nodes connect: unix:/run/air.sock or tcp:127.0.0.1:7700")
    parser.add_argument("--control", help="where orders are taken (cut, mend, drop)")
    parser.add_argument("--latency-ms", type=int, default=0, help="half a connection interval: how long a packet takes")
    parser.add_argument("--seed", type=int, default=0, help="which links `drop` picks")
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
