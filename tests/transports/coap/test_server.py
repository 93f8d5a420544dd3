"""What a stranger's datagrams to our own port bring about, and what they don't."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.transport_contract import Peer, until
from tests.transports.coap.bench import LoopbackBench, Node, Stranger, core, fetch, post, serving
from transports.coap import CoapTransport
from transports.coap.address import TRADE_PATH, parse_address
from transports.coap.linkformat import compose
from transports.coap.packet import Block, Code, Kind, Packet, encode
from transports.coap.server import LINK_FORMAT, MAX_REQUESTS_AT_ONCE
from transports.interface import MAX_FRAME_BYTES, Announcement


@pytest.fixture
async def node(bench: LoopbackBench) -> AsyncIterator[Node]:
    async with serving(bench.settings("b")) as node:
        yield node


@pytest.fixture
async def secret(bench: LoopbackBench) -> AsyncIterator[Node]:
    async with serving(bench.settings("b"), announced=False) as node:
        yield node


async def test_a_confirmable_request_is_answered_in_its_acknowledgement(node: Node) -> None:
    with Stranger() as stranger:
        stranger.send(post(7, b"frame"), node.port)
        assert await stranger.hears() == Packet(Kind.ACKNOWLEDGEMENT, Code.CHANGED, 7, b"tok7", b"frame")


async def test_a_non_confirmable_request_is_answered_alike(node: Node) -> None:
    with Stranger() as stranger:
        stranger.send(post(7, b"frame", kind=Kind.NON_CONFIRMABLE), node.port)
        answer = await stranger.hears()
        assert (answer.kind, answer.token, answer.payload) == (Kind.NON_CONFIRMABLE, b"tok7", b"frame")


async def test_a_repeated_request_gets_the_same_bytes_and_is_heard_once(node: Node) -> None:
    with Stranger() as stranger:
        answers = set()
        for _ in range(3):
            stranger.send(post(7, b"frame"), node.port)
            answers.add(await stranger.receive())
    assert len(answers) == 1
    assert node.handler.heard == [b"frame"]


async def test_a_message_id_that_came_round_is_no_repetition(node: Node) -> None:
    with Stranger() as stranger:
        for token in (b"one", b"two"):
            stranger.send(Packet(Kind.CONFIRMABLE, Code.POST, 7, token, token, path=(TRADE_PATH,)), node.port)
            assert (await stranger.hears()).payload == token


async def test_silence_is_complete(node: Node) -> None:
    with Stranger() as stranger:
        for _ in range(3):
            stranger.send(post(1, b"hush"), node.port)
        stranger.send(post(2, b"hush", kind=Kind.NON_CONFIRMABLE), node.port)
        stranger.send(fetch(3, b"refuse"), node.port)
        stranger.send(post(4, b"fence"), node.port)
        assert (await stranger.hears()).mid == 4
        assert await stranger.hears_nothing(150)  # longer than aiocoap's delay of an empty acknowledgement
    assert node.handler.heard == [b"hush", b"hush", b"fence"]


async def test_an_open_node_describes_itself_to_anybody(node: Node) -> None:
    with Stranger() as stranger:
        shown = Announcement(2, 3, b"abcde")
        node.transport.announce(shown)
        stranger.send(core(1, kind=Kind.CONFIRMABLE), node.port)
        answer = await stranger.hears()
        assert (answer.code, answer.content_format) == (Code.CONTENT, LINK_FORMAT)
        assert answer.payload.decode() == compose(shown, None)
        stranger.send(core(2, "rt=light", kind=Kind.CONFIRMABLE), node.port)
        assert (await stranger.hears()).payload == b""


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Packet(Kind.CONFIRMABLE, Code.GET, 1, path=("other",)), Code.NOT_FOUND),
        (Packet(Kind.CONFIRMABLE, Code.GET, 1, path=(TRADE_PATH,)), Code.METHOD_NOT_ALLOWED),
        (Packet(Kind.CONFIRMABLE, Code.FETCH, 1, path=(TRADE_PATH,)), Code.METHOD_NOT_ALLOWED),
        (Packet(Kind.CONFIRMABLE, Code.POST, 1, path=(".well-known", "core")), Code.METHOD_NOT_ALLOWED),
        (Packet(Kind.CONFIRMABLE, Code.GET, 1, path=(".well-known", "core"), accept=60), Code.NOT_ACCEPTABLE),
        (
            Packet(Kind.CONFIRMABLE, Code.POST, 1, path=(TRADE_PATH,), block2=Block(1, False, 1024)),
            Code.ENTITY_INCOMPLETE,
        ),
        (
            Packet(Kind.CONFIRMABLE, Code.POST, 1, payload=bytes(16), path=(TRADE_PATH,), block1=Block(3, True, 16)),
            Code.ENTITY_INCOMPLETE,
        ),
    ],
)
async def test_only_an_open_node_says_what_was_wrong(bench: LoopbackBench, request_: Packet, code: Code) -> None:
    async with serving(bench.settings("open")) as node, serving(bench.settings("shut"), announced=False) as secret:
        with Stranger() as stranger:
            stranger.send(request_, secret.port)
            stranger.send(encode(request_)[:4] + b"\xd0\x1c", secret.port)
            stranger.send(core(2, kind=Kind.CONFIRMABLE), secret.port)
            stranger.send(request_, node.port)
            _, port = answer = await stranger.receive()
            assert port == node.port
            assert answer[0][1] == code
            assert await stranger.hears_nothing(20)


async def test_a_critical_option_that_we_do_not_know_is_refused(node: Node) -> None:
    with Stranger() as stranger:
        stranger.send(encode(post(1)) + b"\xd0\x04", node.port)  # option 11 + 17 = 28, which is elective
        assert (await stranger.hears()).code == Code.CHANGED
        stranger.send(encode(post(2)) + b"\xd0\x05", node.port)  # option 29 is critical
        assert (await stranger.hears()).code == Code.BAD_OPTION


async def test_a_large_frame_goes_up_and_down_in_parts(node: Node) -> None:
    frame = os.urandom(1_500)
    with Stranger() as stranger:
        for number, more in ((0, True), (1, True), (2, False)):
            part = frame[number * 512 : number * 512 + 512]
            block = Block(number, more, 512)
            stranger.send(
                Packet(Kind.CONFIRMABLE, Code.POST, number, b"up", part, path=(TRADE_PATH,), block1=block), node.port
            )
            answer = await stranger.hears()
            assert answer.block1 == block
        first = answer.payload
        assert (len(first), answer.block2) == (1024, Block(0, True, 1024))
        rest = Packet(Kind.CONFIRMABLE, Code.POST, 9, b"dn", path=(TRADE_PATH,), block2=Block(1, False, 1024))
        stranger.send(rest, node.port)
        answer = await stranger.hears()
        assert (answer.block2, first + answer.payload) == (Block(1, False, 1024), frame)


async def test_a_frame_above_the_bound_is_refused(node: Node) -> None:
    with Stranger() as stranger:
        for number in range(MAX_FRAME_BYTES // 1024 + 1):
            block = Block(number, True, 1024)
            stranger.send(
                Packet(Kind.CONFIRMABLE, Code.POST, number, b"up", bytes(1024), path=(TRADE_PATH,), block1=block),
                node.port,
            )
            answer = await stranger.hears()
        assert answer.code == Code.ENTITY_TOO_LARGE
    assert node.handler.heard == []


async def test_a_secret_node_takes_parts_only_from_those_it_answered(secret: Node) -> None:
    part = Packet(Kind.CONFIRMABLE, Code.POST, 1, b"up", bytes(1024), path=(TRADE_PATH,), block1=Block(0, True, 1024))
    with Stranger() as stranger:
        stranger.send(part, secret.port)
        stranger.send(post(2, b"a frame that it answers"), secret.port)
        assert (await stranger.hears()).mid == 2
        stranger.send(part.numbered(3), secret.port)
        assert (await stranger.hears()).code == Code.CONTINUE


async def test_hostile_datagrams_change_nothing(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    valid = encode(post(1, b"frame"))
    nonsense = [os.urandom(1 + number % 80) for number in range(300)]
    nonsense += [valid[:4] + os.urandom(4 + number % 40) for number in range(300)]
    nonsense += [valid[:cut] for cut in range(len(valid))]
    nonsense += [bytes(60_000), encode(Packet(Kind.ACKNOWLEDGEMENT, Code.CONTENT, 5, b"none", b"x"))]
    with Stranger() as stranger, Stranger() as friend:
        for number, datagram in enumerate(nonsense):
            stranger.send(datagram, node.port)
            if number % 50 == 0 or number == len(nonsense) - 1:  # leaves the node's socket buffer room
                friend.send(post(number, b"still here"), node.port)
                assert (await friend.hears()).payload == b"still here"
    # Cut behind its token the request is a valid one to another resource; longer ones repeat its message id.
    assert set(node.handler.heard) == {b"still here"}
    assert [record for record in caplog.records if record.name.startswith("coap")] == []


async def test_a_flood_of_slow_requests_is_bounded(node: Node) -> None:
    with Stranger() as stranger:
        for mid in range(MAX_REQUESTS_AT_ONCE + 50):
            stranger.send(Packet(Kind.CONFIRMABLE, Code.POST, mid, b"slow", b"hold", path=(TRADE_PATH,)), node.port)
            if mid < MAX_REQUESTS_AT_ONCE and mid % 64 == 0:
                await until(lambda: len(node.handler.heard) == mid + 1, 2_000)  # noqa: B023 - awaited here
        with Stranger() as other:
            other.send(post(1, b"too late"), node.port)
            await node.handler.holding.wait()
            assert await other.hears_nothing(50)
            node.handler.released.set()
            for _ in range(MAX_REQUESTS_AT_ONCE):
                await stranger.hears()
            other.send(post(1, b"too late"), node.port)
            assert (await other.hears()).payload == b"too late"
    assert len(node.handler.heard) == MAX_REQUESTS_AT_ONCE + 1


class Faulty(Peer):
    """A handler with a fault of its own."""

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        if frame == b"crash":
            raise ZeroDivisionError
        return bytes(MAX_FRAME_BYTES + 1) if frame == b"too much" else frame


async def test_a_faulty_handler_is_silent_outside_and_loud_inside(bench: LoopbackBench) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    transport = CoapTransport(bench.settings("b"))
    async with transport.serving(Faulty()):
        transport.announce(Announcement(1, 1, b"abcde"))
        port = parse_address(transport.address).port
        with Stranger() as stranger:
            stranger.send(post(1, b"crash"), port)
            stranger.send(post(2, b"too much"), port)
            stranger.send(post(3, b"fine"), port)
            assert (await stranger.hears()).mid == 3
    assert [type(fault["exception"]).__name__ for fault in faults] == ["ZeroDivisionError", "FrameTooLarge"]
