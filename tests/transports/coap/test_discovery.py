"""Being seen and looking around, several nodes on one machine, liars among them."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from tests.contract.transport_contract import badge, look
from tests.transports.coap.bench import LoopbackBench, Stranger, core, serving
from transports.coap.address import TRADE_PATH, Peer, parse_address
from transports.coap.discovery import MAX_SIGHTINGS_A_HOST
from transports.coap.linkformat import compose, parse
from transports.coap.multicast import open_listener, paths
from transports.coap.packet import Code, Kind, Packet, decode, encode
from transports.coap.server import LINK_FORMAT
from transports.coap.settings import IPV4_GROUP, LOOPBACK_LEISURE_MS
from transports.interface import Sighting

WINDOW_MS = 400
SILENCE_MS = LOOPBACK_LEISURE_MS + 60


async def test_three_nodes_of_one_machine_see_each_other(bench: LoopbackBench) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(serving(bench.settings(name))) for name in "abc"]
        shown = [badge() for _ in nodes]
        for node, announcement in zip(nodes, shown, strict=True):
            node.transport.announce(announcement)
        seen = await asyncio.gather(*(look(node.transport, WINDOW_MS) for node in nodes))
    for number, sightings in enumerate(seen):
        others = {(bench.address(name), shown[other]) for other, name in enumerate("abc") if other != number}
        assert {(sighting.address, sighting.announcement) for sighting in sightings} == others
        assert len(sightings) == 2


NODE = """
import asyncio, sys
from transports.coap import CoapSettings, CoapTransport
from transports.interface import Announcement

async def main():
    transport = CoapTransport(CoapSettings(loopback=True, discovery_port=int(sys.argv[1])))
    async with transport.serving(None):
        transport.announce(Announcement(1, 1, b"other"))
        print(transport.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.mark.processes
async def test_nodes_of_several_processes_are_all_seen(bench: LoopbackBench) -> None:
    command = [sys.executable, "-c", NODE, str(bench.discovery_port)]
    others = [
        await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in "bc"
    ]
    async with serving(bench.settings("a")) as node:
        addresses = {(await other.stdout.readline()).decode().strip() for other in others if other.stdout}
        seen = {sighting.address for sighting in await look(node.transport, WINDOW_MS)}
    for other in others:
        await other.communicate(b"")  # ends its standard input, and so the node
    assert seen == addresses
    assert [other.returncode for other in others] == [0, 0]


async def test_the_answer_names_the_nodes_own_port(bench: LoopbackBench) -> None:
    async with serving(bench.settings("b")) as node:
        with Stranger() as stranger:
            stranger.send(core(1, "rt=v2x.trade"), bench.discovery_port, IPV4_GROUP)
            datagram, port = await stranger.receive()
            answer = decode(datagram)
            assert answer is not None
            assert (answer.kind, answer.token, answer.content_format) == (Kind.NON_CONFIRMABLE, b"core", LINK_FORMAT)
            (offered,) = parse(answer.payload)
            assert (offered.host, offered.port) == ("127.0.0.1", node.port)
            assert port == node.port


@pytest.mark.parametrize(
    "question",
    [
        core(1, "rt=light"),
        core(1, "rt=v2x.trade", "svc=99"),
        core(1, "rt=v2x.trade", kind=Kind.CONFIRMABLE),
        replace(core(1), path=(TRADE_PATH,)),
        replace(core(1), code=Code.POST),
        replace(core(1), accept=60),
        Packet(Kind.NON_CONFIRMABLE, Code.POST, 1, b"t", b"frame", path=(TRADE_PATH,)),
    ],
)
async def test_what_matches_nothing_is_met_with_silence(bench: LoopbackBench, question: Packet) -> None:
    async with serving(bench.settings("b")):
        with Stranger() as stranger:
            stranger.send(question, bench.discovery_port, IPV4_GROUP)
            stranger.send(encode(question)[:9], bench.discovery_port, IPV4_GROUP)
            assert await stranger.hears_nothing(SILENCE_MS)


async def test_a_node_that_falls_silent_does_not_answer_what_it_heard_before(bench: LoopbackBench) -> None:
    async with serving(bench.settings("b"), announced=False) as node:
        with Stranger() as stranger:
            stranger.send(core(1), bench.discovery_port, IPV4_GROUP)
            assert await stranger.hears_nothing(SILENCE_MS)
            node.transport.announce(badge())
            node.transport.announce(None)
            stranger.send(core(2), bench.discovery_port, IPV4_GROUP)
            assert await stranger.hears_nothing(SILENCE_MS)


async def test_answers_take_their_random_leisure(bench: LoopbackBench) -> None:
    loop = asyncio.get_running_loop()
    waited_s = []
    async with serving(bench.settings("b")):
        for mid in range(12):
            with Stranger() as stranger:
                asked_s = loop.time()
                stranger.send(core(mid), bench.discovery_port, IPV4_GROUP)
                await stranger.hears()
                waited_s.append(loop.time() - asked_s)
    assert max(waited_s) < LOOPBACK_LEISURE_MS / 1000 + 0.5
    assert max(waited_s) - min(waited_s) > LOOPBACK_LEISURE_MS / 1000 / 10


async def test_an_impatient_asker_is_answered_once_at_a_time(bench: LoopbackBench) -> None:
    async with serving(bench.settings("b")):
        with Stranger() as stranger:
            for mid in range(50):
                stranger.send(core(mid), bench.discovery_port, IPV4_GROUP)
            await stranger.hears()
            assert await stranger.hears_nothing(SILENCE_MS)


async def answered_by(bench: LoopbackBench, lies: list[Packet | bytes]) -> list[Sighting]:
    """What a node sees when a liar answers its question with `lies`, each under the question's own token if empty."""
    (path,) = paths(bench.settings("liar"))
    listener = open_listener(path, bench.discovery_port)
    assert listener is not None
    with listener, Stranger() as liar:
        listener.setblocking(False)
        async with serving(bench.settings("a"), announced=False) as node:
            looking = asyncio.create_task(look(node.transport, WINDOW_MS))
            datagram, asker = await asyncio.get_running_loop().sock_recvfrom(listener, 2_048)
            question = decode(datagram)
            assert question is not None
            assert question.query == ("rt=v2x.trade",)
            for lie in lies:
                if isinstance(lie, Packet) and not lie.token:
                    lie = replace(lie, token=question.token)
                liar.send(lie, asker[1])
            return await looking


def shown(document: str, **changes: object) -> Packet:
    answer = Packet(Kind.NON_CONFIRMABLE, Code.CONTENT, 1, b"", document.encode(), content_format=LINK_FORMAT)
    return replace(answer, **changes)  # type: ignore[arg-type]


async def test_a_right_answer_is_seen_once(bench: LoopbackBench) -> None:
    announcement = badge()
    right = shown(compose(announcement, Peer("127.0.0.1", 5701)))
    (seen,) = await answered_by(bench, [right, right])
    assert (seen.bearer, seen.address, seen.announcement) == ("coap", "127.0.0.1:5701", announcement)
    assert 0 <= asyncio.get_running_loop().time() * 1000 - seen.heard_at_ms < 60_000


async def test_hostile_answers_show_nobody(bench: LoopbackBench) -> None:
    document = compose(badge(), Peer("127.0.0.1", 5701))
    lies: list[Packet | bytes] = [
        *(os.urandom(size) for size in range(1, 60)),
        encode(shown(document, token=b"x"))[:-10],
        shown(document, token=b"wrong"),
        shown(document, kind=Kind.CONFIRMABLE),
        shown(document, code=Code.CHANGED),
        shown(document, content_format=0),
        shown(document, content_format=None),
        shown(compose(badge(), Peer("192.0.2.66", 5701))),  # a victim elsewhere
        shown("x" * 1_200),
        shown(document[:-3]),
        bytes(60_000),
    ]
    assert await answered_by(bench, lies) == []


async def test_one_host_can_not_fill_the_look_around(bench: LoopbackBench) -> None:
    lies: list[Packet | bytes] = [
        shown(compose(badge(), Peer("127.0.0.1", port))) for port in range(1, 2 * MAX_SIGHTINGS_A_HOST)
    ]
    assert len(await answered_by(bench, lies)) == MAX_SIGHTINGS_A_HOST


async def test_our_own_echo_is_left_out(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as node:
        before, after = badge(), badge()
        node.transport.announce(before)
        node.transport.announce(after)
        with Stranger() as echo:
            (path,) = paths(bench.settings("a"))
            listener = open_listener(path, bench.discovery_port)
            assert listener is not None
            with listener:
                listener.setblocking(False)
                looking = asyncio.create_task(look(node.transport, WINDOW_MS))
                datagram, asker = await asyncio.get_running_loop().sock_recvfrom(listener, 2_048)
                question = decode(datagram)
                assert question is not None
                for announcement, port in ((before, 1), (after, 1), (badge(), node.port)):
                    lie = shown(compose(announcement, Peer("127.0.0.1", port)), token=question.token)
                    echo.send(lie, asker[1])
            assert await looking == []


async def test_stopping_ends_a_look_around(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as node:
        looking = asyncio.create_task(look(node.transport, 60_000))
        await asyncio.sleep(0)
    async with asyncio.timeout(2):
        assert await looking == []


async def test_who_stops_looking_leaves_no_sockets(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as node, serving(bench.settings("b")):
        before = len(os.listdir("/proc/self/fd"))
        sightings = node.transport.discover(window_ms=60_000)
        assert parse_address((await anext(sightings)).address)
        assert len(os.listdir("/proc/self/fd")) > before
        await sightings.aclose()  # type: ignore[attr-defined]
        assert len(os.listdir("/proc/self/fd")) == before
