"""Claim: signed requests answered by signed offers inside the sealed link come at 60 % of the rate at which aiocoap
echoes as many bytes without any of that, or faster.

Each side is a process of its own, one request under way at a time, rounds in turn on the same machine. Four signature
operations a request: sign and verify at both ends. The third pair is a whole node, which asks its owner's policy and
reads its battery. `--profile` prints where our time goes.
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from aiocoap.message import Message
from aiocoap.numbers.codes import CHANGED, POST
from aiocoap.protocol import Context
from aiocoap.resource import Resource, Site

from benchmarks.report import Row, Table, publish, typical
from benchmarks.wire import HOST, coap
from market.terms import Hello, Request
from tests.support.acts import V2V
from tests.support.commands import free_port
from tests.support.market_terms import offer
from tests.support.node_pair import wish
from tests.support.processes import cast, scene
from transports.secure import Visibility
from v2xnode.clock import real_clock
from v2xnode.config import ElectricalSection
from v2xnode.envelope import Item, Letter, Plain, read, request_id_in, sign_letter
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import AcceptedLink, DialledLink, Greeting, Links, RawItems

NAME = "requests_per_second"
ROUNDS = 9
REQUESTS = 300
"""A round's: far from aiocoap's message ids coming round within its 247 s, which answers wrongly."""
WARM_UP = 20
PRELOADED = ("tests.support.node_pair", "tests.support.processes", "aiocoap.protocol", "aiocoap.resource")
"""What takes long to import."""
PROFILED = 1_500
GOAL = 0.6
WISH = wish(60)
OFFER = offer()
ELECTRICAL = ElectricalSection(**cast("car_b").electrical).record()


# our two ends


def _links(who: Identity, port: int, serve: "Serve") -> Links:
    clock = real_clock()

    async def greet(_: bytes | None) -> Greeting:
        return Greeting(Hello(electrical=ELECTRICAL, epoch=bytes(8)))

    return Links(
        who,
        {"coap": coap(port, free_port())},
        clock,
        EventLog(clock),
        greet=greet,
        serve=serve,
        known=lambda _: True,
        visibility=Visibility.OPEN,
    )


@dataclass(frozen=True, slots=True)
class Serve:
    """Answers each signed request with a signed offer, at no cost of thinking."""

    who: Identity

    async def __call__(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        answers: list[Item] = []
        for raw in items:
            request_id = request_id_in(raw)
            asked = read(raw, link.context(self.who.public, request_id)).message
            assert isinstance(asked, Request)
            answers.append(sign_letter(self.who.signer, replace(OFFER, request_id=asked.request_id)))
        return answers


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[str, bytes]]:
    """Our provider's end: address and key."""
    who, port = Identity.from_seed(secrets.token_bytes(32)), free_port()
    async with _links(who, port, Serve(who)).serving():
        yield f"{HOST}:{port}", who.public


@dataclass(frozen=True, slots=True)
class Asking:
    """Our client's end, on one sealed link."""

    who: Identity
    link: DialledLink

    async def ask(self) -> None:
        """Sign a new request, and check the offer that comes back."""
        letter = _letter(self.who, self.link.peer)
        raw = await self.link.ask([letter])
        request_id = letter.message.request_id
        answer = read(raw[0], self.link.context(self.who.public, request_id))
        if isinstance(answer, Plain):
            raise RuntimeError(f"declined: {answer.message}")

    @property
    def frame_bytes(self) -> int:
        """Of one frame, the mean of both ways: the handshake's exchange is one of hundreds."""
        traffic = self.link.traffic
        return traffic.frame_bytes // (2 * traffic.round_trips)


def _letter(who: Identity, peer: bytes) -> Letter:
    return sign_letter(who.signer, WISH.request_to(peer, secrets.token_bytes(16)))


@asynccontextmanager
async def asking(address: str, peer: bytes) -> AsyncIterator[Asking]:
    """A link to the provider there."""
    who = Identity.from_seed(secrets.token_bytes(32))
    links = _links(who, free_port(), Serve(who))
    async with links.serving():
        link, _ = await links.dial("coap", address, peer, lambda key: (_letter(who, key),))
        try:
            yield Asking(who, link)
        finally:
            await link.aclose()


# aiocoap's


class _Echo(Resource):
    async def render_post(self, request: Message) -> Message:
        return Message(code=CHANGED, payload=request.payload)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """aiocoap's server: its address."""
    site, port = Site(), free_port()  # type: ignore[no-untyped-call]
    site.add_resource(["echo"], _Echo())  # type: ignore[no-untyped-call]
    context = await Context.create_server_context(site, bind=(HOST, port))
    try:
        yield f"coap://{HOST}:{port}/echo"
    finally:
        await context.shutdown()


@dataclass(frozen=True, slots=True)
class Echoed:
    """aiocoap's client."""

    context: Context
    uri: str
    payload: bytes

    async def ask(self) -> None:
        """The same bytes there and back."""
        question = Message(code=POST, uri=self.uri, payload=self.payload)  # type: ignore[no-untyped-call]
        answer = await self.context.request(question).response  # type: ignore[no-untyped-call]
        if answer.payload != self.payload:
            raise RuntimeError(f"no echo: {answer.code}")


@asynccontextmanager
async def echoed(uri: str, payload_bytes: int) -> AsyncIterator[Echoed]:
    """aiocoap's client for the server there."""
    context = await Context.create_client_context()
    try:
        yield Echoed(context, uri, secrets.token_bytes(payload_bytes))
    finally:
        await context.shutdown()


# processes


def _serve_ours(told: Connection) -> None:
    async def run() -> None:
        async with answering() as where:
            await _stay(told, where)

    asyncio.run(run())


def _serve_echo(told: Connection) -> None:
    async def run() -> None:
        async with echoing() as where:
            await _stay(told, where)

    asyncio.run(run())


async def _stay(told: Connection, where: object) -> None:
    """Say where, then how much processor time was used whenever asked, until told to end."""
    told.send(where)
    while await asyncio.to_thread(told.recv):
        told.send(time.process_time())


async def _ask_on(told: Connection, ask: Callable[[], Awaitable[None]], payload_bytes: Callable[[], int]) -> None:
    """Warm up, say how large a payload is, then time as many requests as are wanted, until told to end."""
    for _ in range(WARM_UP):
        await ask()
    told.send(payload_bytes())
    while count := told.recv():
        began_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(count):
            await ask()
        told.send((time.perf_counter() - began_s, time.process_time() - cpu_s))


def _ask_ours(told: Connection, address: str, peer: bytes) -> None:
    async def run() -> None:
        async with asking(address, peer) as client:
            await _ask_on(told, client.ask, lambda: client.frame_bytes)

    asyncio.run(run())


def _ask_echo(told: Connection, uri: str, payload_bytes: int) -> None:
    async def run() -> None:
        async with echoed(uri, payload_bytes) as client:
            await _ask_on(told, client.ask, lambda: payload_bytes)

    asyncio.run(run())


@contextmanager
def _process(target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process running `target`, told over a pipe; 0 ends it. All are forked from one that has nothing but modules."""
    fresh = multiprocessing.get_context("forkserver")
    fresh.set_forkserver_preload(list(PRELOADED))
    ours, theirs = fresh.Pipe()
    process = fresh.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
        ours.send(0)
        process.join(10)
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one round: requests a second, and requests a second of processor time at both ends together."""

    per_s: float
    per_cpu_s: float


def _round(client: Connection, server: Connection | None, count: int) -> Rate:
    before_s = _cpu_s(server)
    client.send(count)
    wall_s, cpu_s = client.recv()
    return Rate(count / wall_s, count / (cpu_s + _cpu_s(server) - before_s))


def _cpu_s(server: Connection | None) -> float:
    if server is None:
        return 0.0
    server.send(1)
    return float(server.recv())


@dataclass(frozen=True, slots=True)
class Compared:
    """Rounds in turn: (ours, aiocoap's), (a whole node's, aiocoap's). A node's own processor time is not read."""

    payload_bytes: int
    sealed: list[tuple[Rate, Rate]]
    node: list[tuple[Rate, Rate]]


async def measure(rounds: int = ROUNDS, requests: int = REQUESTS) -> Compared:
    """All rounds, in processes of their own."""
    with tempfile.TemporaryDirectory(prefix="rate-") as directory:
        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(scene(Path(directory), [cast(V2V.provider)]))
            await stage.plug(V2V.cable, "car_a.v2v", "car_b.v2v")
            address, key = stage.address(V2V.provider).partition(":")[2], bytes.fromhex(stage.node_id(V2V.provider))
            return await asyncio.to_thread(_measure, rounds, requests, address, key)


def _measure(rounds: int, requests: int, node_address: str, node_key: bytes) -> Compared:
    with _process(_serve_ours) as ours_server, _process(_serve_echo) as echo_server:
        address, peer = ours_server.recv()
        uri = echo_server.recv()
        with _process(_ask_ours, address, peer) as ours, _process(_ask_ours, node_address, node_key) as node:
            payload_bytes = ours.recv()
            node.recv()
            with _process(_ask_echo, uri, payload_bytes) as echo:
                echo.recv()
                sealed, whole = [], []
                for _ in range(rounds):
                    sealed.append((_round(ours, ours_server, requests), _round(echo, echo_server, requests)))
                    whole.append((_round(node, None, requests), sealed[-1][1]))
    return Compared(payload_bytes, sealed, whole)


def table(found: Compared) -> Table:
    """The round with the median ratio of each comparison."""
    wall = typical([(ours.per_s, other.per_s) for ours, other in found.sealed])
    cpu = typical([(ours.per_cpu_s, other.per_cpu_s) for ours, other in found.sealed])
    node = typical([(ours.per_s, other.per_s) for ours, other in found.node])
    rows = (
        Row("sealed link, signed and verified at both ends", "/s", *wall, ratio_goal=GOAL),
        Row("  the same a second of processor time, both ends", "/s", *cpu, ratio_goal=GOAL),
        Row("  a whole node answers, its policy asked", "/s", *node),
    )
    note = (
        f"{found.payload_bytes} bytes of CoAP payload each way, one request under way, median of {len(found.sealed)} "
        "rounds in turn."
    )
    return Table("Signed request to signed offer over CoAP on loopback", "aiocoap's echo", rows, note)


def profile(requests: int = PROFILED) -> None:
    """Both our ends in one process; the functions that take most of the time themselves."""

    async def run(measured: cProfile.Profile) -> None:
        async with answering() as (address, peer), asking(address, peer) as client:
            measured.enable()
            for _ in range(requests):
                await client.ask()
            measured.disable()

    measured = cProfile.Profile()
    asyncio.run(run(measured))
    pstats.Stats(measured).sort_stats("tottime").print_stats(30)
    pstats.Stats(measured).sort_stats("cumtime").print_stats(50)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="where our time goes, instead of the comparison")
    if parser.parse_args(arguments).profile:
        profile()
    else:
        publish(NAME, [table(asyncio.run(measure()))])


if __name__ == "__main__":
    main()
