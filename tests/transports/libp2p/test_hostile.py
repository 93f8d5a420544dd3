"""What strangers send: bounded, said once at most, and nobody else notices."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
import trio

from tests.contract.transport_contract import Peer
from tests.transports.libp2p.bench import LoopbackBench, on_host, sockets_of
from tests.transports.libp2p.hostile import Attacker, attacking
from transports.duplex.message import MAX_MESSAGE_BYTES
from transports.interface import Link
from transports.libp2p import host as host_module
from transports.libp2p import sockets as sockets_module
from transports.libp2p.address import endpoint, parse_address
from transports.libp2p.framing import enframe
from transports.libp2p.guard import Guard
from transports.libp2p.host import MAX_PIPES_A_PEER
from transports.libp2p.library import (
    BaseLibp2pError,
    ConnectionClosedError,
    INetConn,
    Multiaddr,
    MuxedStreamError,
    NetStream,
    StreamError,
    Yamux,
    YamuxStream,
)
from transports.libp2p.muxer import MAX_BUFFERED_BYTES, MAX_STREAMS
from transports.libp2p.sockets import MAX_CONNECTIONS, MAX_UNPROVEN_BYTES, Counters, network_of, opened
from transports.libp2p.transport import Libp2pTransport

T = TypeVar("T")
REQUEST = enframe(b"\x01\x01hello")
ANSWER = enframe(b"\x04\x01hello")


@asynccontextmanager
async def honest() -> AsyncIterator[tuple[Libp2pTransport, Link]]:
    """A node under attack, and an honest peer's link to it, which must work before and after."""
    bench = LoopbackBench()
    node, customer = bench.libp2p("b"), bench.libp2p("a")
    async with node.serving(Peer()), customer.serving(Peer()):
        link = await customer.dial(bench.address("b"))
        life = node._running().lives.bridge
        assert await link.request(b"before", timeout_ms=5_000) == b"before"
        yield node, link
        assert await link.request(b"after", timeout_ms=5_000) == b"after"
        assert node._running().lives.bridge is life, "it died of it and was started again"
        await link.aclose()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a person who runs the node reads."""
    ours = (record for record in caplog.records if record.name.startswith("transports."))
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (b"\xff\xff\xff\xff", "more than 2 bytes"),
        (b"\x00", "0 bytes"),
        (enframe(bytes(MAX_MESSAGE_BYTES + 1)), f"{MAX_MESSAGE_BYTES + 1} bytes"),
        (enframe(b"\x63\x01who knows"), "kind 99"),
        (enframe(b"\x04\x01an answer to nothing"), "wrong side"),
    ],
    ids=["garbage", "empty", "oversized", "unknown", "answer"],
)
async def test_what_is_no_message_ends_the_stream_and_is_said_once(
    said: bytes, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with honest() as (node, _), attacking(node.address) as attacker:
        assert await attacker.do(lambda: attacker.write(REQUEST + said)) in (ANSWER, b"")
        for _ in range(4):
            with contextlib.suppress(StreamError):
                await attacker.do(lambda: attacker.write(said))
    assert len(complaints(caplog)) == 1
    assert wrong in complaints(caplog)[0]


async def test_half_a_message_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async with honest() as (node, _), attacking(node.address) as attacker:

        async def half() -> None:
            stream = await attacker.stream()
            await stream.write(REQUEST[:-2])
            await stream.reset()

        for _ in range(5):
            await attacker.do(half)
    assert complaints(caplog) == []


async def test_a_peer_has_no_more_pipes_than_it_needs() -> None:
    async with honest() as (node, _), attacking(node.address) as attacker:

        async def open_many() -> int:
            answered = 0
            for _ in range(3 * MAX_PIPES_A_PEER):
                with contextlib.suppress(BaseLibp2pError):
                    stream = await attacker.stream()
                    await stream.write(REQUEST)
                    answered += bool(await stream.read(100))
            return answered

        assert await attacker.do(open_many) == MAX_PIPES_A_PEER


async def test_a_flood_of_streams(caplog: pytest.LogCaptureFixture) -> None:
    """Opened and left: none of them says what it is for."""
    async with honest() as (node, link), attacking(node.address) as attacker:

        async def flood() -> int:
            connection = await attacker.connection()
            with contextlib.suppress(MuxedStreamError):
                for _ in range(200):
                    await connection.open_stream()
            return len(connection.streams)

        flooding = asyncio.create_task(attacker.do(flood))
        assert await link.request(b"meanwhile", timeout_ms=5_000) == b"meanwhile"
        await flooding
        assert max(await open_streams(node)) <= MAX_STREAMS + 11, "some wait in yamux to be refused"
    assert complaints(caplog) == []


@pytest.mark.parametrize("line", [b"\x03\xff\xfe\n", b"\x01a", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", bytes(100)])
async def test_nonsense_where_a_protocol_is_chosen(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with honest() as (node, _), attacking(node.address) as attacker:

        async def choose() -> None:
            stream = await (await attacker.connection()).open_stream()
            with contextlib.suppress(MuxedStreamError, EOFError):
                await stream.write(line)
                while await stream.read(1_000):
                    pass

        for _ in range(3):
            await attacker.do(choose)
    assert complaints(caplog) == []


async def test_more_than_the_window_costs_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with honest() as (node, _), attacking(node.address) as attacker:

        async def pour() -> int:
            """Messages that the node understands, as many as the socket takes."""
            opened = await attacker.stream()
            assert isinstance(opened, NetStream)
            stream = opened.muxed_stream
            assert isinstance(stream, YamuxStream)
            poured, piece = 0, 20_000 * enframe(b"\x03\x01")
            header = struct.pack("!BBHII", 0, 0, 0, stream.stream_id, len(piece))
            with contextlib.suppress(BaseLibp2pError):
                while poured < 20 * MAX_BUFFERED_BYTES:
                    await stream.conn._write_frame(header + piece)
                    poured += len(piece)
            return poured

        assert await attacker.do(pour) < 20 * MAX_BUFFERED_BYTES
        kept = await on_host(node, lambda swarm: sum(map(buffered, swarm.get_connections())))
        assert kept <= MAX_BUFFERED_BYTES
    assert complaints(caplog) == []


async def test_a_flood_of_connections_that_say_nothing() -> None:
    async with honest() as (node, link):
        address = parse_address(node.address)
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection((address.host, address.port), timeout=5))
            assert await link.request(b"meanwhile", timeout_ms=5_000) == b"meanwhile"
            assert await on_host(node, lambda _: len(sockets_of(node).open)) < MAX_CONNECTIONS / 2


async def test_garbage_in_place_of_a_handshake(caplog: pytest.LogCaptureFixture) -> None:
    async with honest() as (node, _):
        address = parse_address(node.address)
        for garbage in (
            os.urandom(MAX_UNPROVEN_BYTES * 4),
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x13/multistream/1.0.0\n\xff\xff\x7f" * 99,
        ):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            with contextlib.suppress(OSError):  # it hangs up as soon as it has heard enough
                writer.write(garbage)
                await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(10):
                    while await reader.read(1_000):
                        pass
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await until_async(node, lambda: len(sockets_of(node).open) == 1)
    assert complaints(caplog) == []


async def test_what_comes_before_the_handshake_is_bounded() -> None:
    async with honest() as (node, _):
        address = parse_address(node.address)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"\xff\xff\xff\xff\x7f" + bytes(4 * MAX_UNPROVEN_BYTES))
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(3):
                while await reader.read(1_000):
                    pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_one_address_has_a_share_of_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets_module, "MAX_CONNECTIONS_A_SOURCE", 4)
    async with honest() as (node, _):
        address = parse_address(node.address)
        with contextlib.ExitStack() as stack:
            for _ in range(12):
                connected = socket.create_connection((address.host, address.port), 5, source_address=("127.0.0.2", 0))
                stack.enter_context(connected)
            async with attacking(node.address) as another:
                assert await another.do(another.stream)
            held = [stream for stream in sockets_of(node).open if stream.get_remote_address()[0] == "127.0.0.2"]
            assert len(held) == 4


async def test_one_address_has_a_share_of_the_pipes_whatever_keys_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_PIPES_A_SOURCE", 3)
    async with honest() as (node, _), attacking(node.address) as one, attacking(node.address) as other:
        answered = 0
        for attacker in (one, other, one, other):

            async def ask(attacker: Attacker = attacker) -> bool:
                with contextlib.suppress(BaseLibp2pError):
                    stream = await attacker.stream()
                    await stream.write(REQUEST)
                    return bool(await stream.read(100))
                return False

            answered += await attacker.do(ask)
        assert answered == 2, "the honest peer has the third"


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_what_one_machine_can_speak_from(host: str, network: str) -> None:
    assert network_of(host) == network


def test_who_takes_nothing_from_his_socket_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets_module, "TAKE_S", 0.2)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with opened("127.0.0.1", 0, Counters()) as sockets:
                await sockets.dial(Multiaddr(endpoint("127.0.0.1", silent.getsockname()[1])))
                (stream,) = sockets.open
                with trio.move_on_after(0) as cancelled:
                    await stream.write(b"sealed")
                assert stream in sockets.open, "what was sealed is sent, cancelled or not"
                assert sockets.counters.bytes_sent == 6
                assert not cancelled.cancelled_caught
                with pytest.raises(ConnectionClosedError):
                    await stream.write(bytes(50_000_000))
                assert not sockets.open

    trio.run(main)


async def test_the_end_of_a_peers_second_connection_is_no_surprise() -> None:
    async with honest() as (node, _):
        host, bridge = node._running().lives.host, node._running().lives.bridge
        assert host is not None
        assert bridge is not None

        async def end_twice() -> None:
            sockets, basic = host._running()
            network = basic.get_network()
            (connection,) = network.get_connections()
            for _ in range(2):
                await Guard(basic, sockets).disconnected(network, connection)

        await bridge.call(end_twice)


async def until_async(node: Libp2pTransport, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not await on_host(node, lambda _: condition()):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def open_streams(node: Libp2pTransport) -> list[int]:
    """Of each connection."""
    return await on_host(node, lambda swarm: [len(muxer(connection).streams) for connection in swarm.get_connections()])


def muxer(connection: INetConn) -> Yamux:
    assert isinstance(connection.muxed_conn, Yamux)
    return connection.muxed_conn


def buffered(connection: INetConn) -> int:
    return sum(map(len, muxer(connection).stream_buffers.values()))
