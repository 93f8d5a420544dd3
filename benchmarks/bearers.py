"""The bearers beside each other, bare: connect, question and answer, pushes.

Two transports in one process on this machine, no secure link and no node above. BLE in a virtual air of the same
process, with a radio that takes no time and with one that takes some.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.report import Row, Table, median, percentile, publish
from tests.contract.transport_contract import Bench
from tests.transports.ble.bench import in_the_air
from tests.transports.coap.bench import LoopbackBench as CoapBench
from tests.transports.libp2p.bench import LoopbackBench as Libp2pBench
from transports.ble.virtual.air import Air
from transports.interface import Link, Pusher
from transports.memory import MemoryNetwork

ASKED_BYTES, ANSWERED_BYTES, PUSHED_BYTES = 400, 300, 72
"""About a set-up's larger frames, and the deliverable's SV message (Table 5)."""
DIALS, QUESTIONS, PUSHES = 10, 200, 500
RADIO_MS = 15
"""One way, half of a phone's usual interval between connection events (30 ms)."""
WAIT_MS = 10_000


class Peer:
    """Answers with as many bytes as a set-up does, and pushes when it is told to."""

    def __init__(self) -> None:
        self.pushers: list[Pusher] = []

    async def answer(self, frame: bytes, source: str) -> bytes:
        return bytes(ANSWERED_BYTES)

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes:
        self.pushers.append(pusher)
        return b""


@dataclass(slots=True)
class Measured:
    """Times in real milliseconds."""

    connect_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)
    pushes_per_s: float = 0.0


async def measure(bench: Bench) -> Measured:
    """One dialer, one acceptor."""
    measured, peer = Measured(), Peer()
    dialer, acceptor = bench.transport("a"), bench.transport("b")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(acceptor.serving(peer))
        await stack.enter_async_context(dialer.serving(Peer()))
        for _ in range(DIALS):
            began_s = time.perf_counter()
            link = await dialer.dial(bench.address("b"))
            await link.request(b"first", timeout_ms=WAIT_MS)
            measured.connect_ms.append(1000 * (time.perf_counter() - began_s))
            await link.aclose()
        link = await dialer.dial(bench.address("b"))
        stack.push_async_callback(link.aclose)
        asked = os.urandom(ASKED_BYTES)
        for _ in range(QUESTIONS):
            began_s = time.perf_counter()
            await link.request(asked, timeout_ms=WAIT_MS)
            measured.answer_ms.append(1000 * (time.perf_counter() - began_s))
        measured.pushes_per_s = await _pushes(link, peer)
    return measured


async def _pushes(link: Link, peer: Peer) -> float:
    """How many states a second get through, each pushed when the one before has come."""
    async with link.subscribe(b"", timeout_ms=WAIT_MS) as frames:
        await anext(frames)
        began_s = time.perf_counter()
        for _ in range(PUSHES):
            peer.pushers[-1].push(bytes(PUSHED_BYTES), confirmed=False)
            async with asyncio.timeout(WAIT_MS / 1000):
                await anext(frames)
        return PUSHES / (time.perf_counter() - began_s)


class MemoryBench:
    """A network that takes no time."""

    def __init__(self) -> None:
        self._network = MemoryNetwork(1, delay_ms=(0, 0))
        self.transport = self._network.transport
        self.address = str


@asynccontextmanager
async def _in_memory() -> AsyncIterator[Bench]:
    yield MemoryBench()


@asynccontextmanager
async def _over_coap() -> AsyncIterator[Bench]:
    yield CoapBench()


@asynccontextmanager
async def _over_ble(latency_ms: int = 0) -> AsyncIterator[Bench]:
    async with in_the_air(Air(latency_ms)) as bench:
        yield bench


@asynccontextmanager
async def _over_libp2p() -> AsyncIterator[Bench]:
    yield Libp2pBench()


async def measure_all() -> dict[str, Measured]:
    """One after the other, so that none slows the other down."""
    made = {
        "memory": _in_memory,
        "CoAP": _over_coap,
        "BLE": _over_ble,
        f"BLE, {RADIO_MS} ms each way": lambda: _over_ble(RADIO_MS),
        "libp2p": _over_libp2p,
    }
    found = {}
    for name, make in made.items():
        async with make() as bench:
            found[name] = await measure(bench)
    return found


def tables(found: dict[str, Measured]) -> list[Table]:
    """For people."""
    rows: list[Row] = []
    for name, each in found.items():
        rows += [
            Row(f"{name}: dial and a first answer, p50 of {DIALS}", "ms", median(each.connect_ms)),
            Row(f"{name}: {ASKED_BYTES} B asked, {ANSWERED_BYTES} B answered, p50", "ms", median(each.answer_ms)),
            Row(f"{name}: the same, p99 of {QUESTIONS}", "ms", percentile(each.answer_ms, 99)),
            Row(f"{name}: states of {PUSHED_BYTES} B, one after the other", "1/s", each.pushes_per_s),
        ]
    return [Table("Bare bearers on one machine", "-", tuple(rows))]


if __name__ == "__main__":
    publish("bearers", tables(asyncio.run(measure_all())))
