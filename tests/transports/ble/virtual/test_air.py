"""The air itself: who is heard, which links break, and what it does with programs that are no nodes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from tests.contract.transport_contract import Peer, badge, look, open_descriptors, until
from tests.transports.ble.bench import AirBench, in_the_air
from transports.ble.settings import BleSettings
from transports.ble.transport import BleTransport
from transports.ble.virtual.air import MAX_NODES, Air
from transports.ble.virtual.radio import VirtualRadio
from transports.ble.virtual.streams import Place, parse_place
from transports.errors import LinkLost, LocalTransportError

WITHIN_MS = 5_000
LOCAL = Place(host="127.0.0.1")


@asynccontextmanager
async def pair(bench: AirBench) -> AsyncIterator[tuple[BleTransport, BleTransport]]:
    """A dialer and an acceptor."""
    dialer, acceptor = bench.ble("a"), bench.ble("b")
    acceptor.announce(badge())
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        yield dialer, acceptor


class Orders:
    """The control place."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def __call__(self, line: str) -> str:
        self._writer.write(line.encode() + b"\n")
        async with asyncio.timeout(WITHIN_MS / 1000):
            return (await self._reader.readline()).decode().rstrip()


@asynccontextmanager
async def ordering(place: Place | None) -> AsyncIterator[Orders]:
    assert place is not None
    reader, writer = await place.connect()
    try:
        yield Orders(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_orders_are_obeyed_and_nonsense_is_told() -> None:
    air = Air(seed=1)
    async with air.listening(LOCAL, LOCAL) as opened, ordering(opened.control) as order:
        bench = AirBench(opened.nodes)
        async with pair(bench) as (dialer, _):
            link = await dialer.dial(bench.address("b"))
            assert await order("links") == "ok 1"
            assert await order("drop") == "ok 1"
            assert await order("drop") == "ok 0"
            assert await link.request(b"again", timeout_ms=WITHIN_MS) == b"again"
            assert await order(f"drop {bench.address('a').lower()}") == "ok 1"
            assert await order(f"cut {bench.address('b')}") == "ok 1"
            with pytest.raises(LinkLost):
                await link.request(b"cut", timeout_ms=300)
            assert await order(f"mend {bench.address('b')}") == "ok 1"
            assert await link.request(b"mended", timeout_ms=WITHIN_MS) == b"mended"
            for nonsense in ("", "cut", "drop a b", "shout", "\x00\xff"):
                assert (await order(nonsense)).startswith("error")
            await link.aclose()


async def test_who_is_cut_off_is_not_seen_and_sees_nobody(air: Air, bench: AirBench) -> None:
    async with pair(bench) as (dialer, acceptor):
        dialer.announce(badge())
        air.ether.cut(bench.address("b"))
        assert await look(dialer, 200) == []
        assert await look(acceptor, 200) == []
        air.ether.mend(bench.address("b"))
        assert len(await look(dialer, 200)) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_the_same_seed_breaks_the_same_links(seed: int) -> None:
    histories = []
    for _ in range(2):
        air = Air(seed=seed)
        async with in_the_air(air) as bench, AsyncExitStack() as stack:
            transports = [bench.ble(name) for name in "abcd"]
            for transport in transports:
                transport.announce(badge())
                await stack.enter_async_context(transport.serving(Peer()))
            for name in "bcd":
                await transports[0].dial(bench.address(name))
            broken = []
            for _ in range(3):
                before = {str(link.peer_address) for link in air.ether.links()}
                assert air.drop_any() == 1
                broken.append(before - {str(link.peer_address) for link in air.ether.links()})
            assert air.drop_any() == 0
            histories.append(broken)
    assert histories[0] == histories[1]


async def test_a_link_takes_as_long_as_its_interval() -> None:
    async with in_the_air(Air(latency_ms=50)) as bench, pair(bench) as (dialer, _):
        link = await dialer.dial(bench.address("b"))
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        await link.request(b"there and back", timeout_ms=WITHIN_MS)
        assert loop.time() - before_s >= 0.1
        await link.aclose()


async def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    place = Place(path=str(tmp_path / "air"))
    async with Air().listening(place) as opened, pair(AirBench(opened.nodes)) as (dialer, _):
        link = await dialer.dial(AirBench(place).address("b"))
        assert await link.request(b"over a path", timeout_ms=WITHIN_MS) == b"over a path"
        await link.aclose()


async def test_without_an_air_nobody_serves_and_it_says_why(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(LocalTransportError, match="start it first"):
        async with BleTransport(BleSettings(air=f"unix:{tmp_path}/nobody")).serving(Peer()):
            pytest.fail("served in no air")
    assert open_descriptors() == before


async def test_an_air_that_goes_away_is_a_lost_link_and_then_told() -> None:
    tasks = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        async with in_the_air(Air()) as bench:
            dialer, _ = await stack.enter_async_context(pair(bench))
            link = await dialer.dial(bench.address("b"))
            await link.request(b"while it lasts", timeout_ms=WITHIN_MS)
        with pytest.raises((LinkLost, LocalTransportError)):
            await link.request(b"gone", timeout_ms=WITHIN_MS)
        with pytest.raises(LocalTransportError, match="gone"):
            await dialer.dial(bench.address("c"))
        with pytest.raises(LocalTransportError, match="gone"):
            await look(dialer, 100)
    await until(lambda: asyncio.all_tasks() <= tasks, WITHIN_MS)


async def test_what_is_no_hci_is_let_go_and_disturbs_nobody(air: Air, bench: AirBench) -> None:
    async with pair(bench) as (dialer, _):
        link = await dialer.dial(bench.address("b"))
        reader, writer = await bench.place.connect()
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(WITHIN_MS / 1000):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert len(air.ether.controllers) == 2
        assert await link.request(b"still here", timeout_ms=WITHIN_MS) == b"still here"
        await link.aclose()


async def test_nodes_of_one_air_are_bounded(air: Air, bench: AirBench) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MAX_NODES):
            _, writer = await bench.place.connect()
            stack.callback(writer.close)
        await until(lambda: len(air.ether.controllers) == MAX_NODES, WITHIN_MS)
        with pytest.raises(LocalTransportError, match="does not answer"):
            async with bench.ble("late").serving(Peer()):
                pytest.fail("one too many")
    await until(lambda: not air.ether.controllers, WITHIN_MS)


async def test_two_that_call_one_advertiser_at_once_both_get_through(bench: AirBench) -> None:
    acceptor = bench.ble("b")
    acceptor.announce(badge())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(acceptor.serving(Peer()))
        dialers = [bench.ble(f"dialer {number}") for number in range(6)]
        for dialer in dialers:
            await stack.enter_async_context(dialer.serving(Peer()))
        links = await asyncio.gather(*(dialer.dial(bench.address("b")) for dialer in dialers))
        answers = await asyncio.gather(
            *(link.request(b"%d" % number, timeout_ms=WITHIN_MS) for number, link in enumerate(links))
        )
        assert answers == [b"%d" % number for number in range(6)]


async def test_an_attempt_to_connect_that_is_given_up_leaves_room_for_the_next(air: Air, bench: AirBench) -> None:
    acceptor, radio = bench.ble("b"), VirtualRadio(str(bench.place))
    async with acceptor.serving(Peer()), radio.opened(lambda: None):
        client = radio.client(BLEDevice(bench.address("b"), None, None), lambda _: None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.connect()
        acceptor.announce(badge())
        await client.connect()
        assert len(air.ether.links()) == 1
        await client.disconnect()
        with pytest.raises(BleakError, match="onnected"):
            await client.write_gatt_char("4cd6a4a0-7ec5-4500-8a21-b26fb51548d5", b"late")


@pytest.mark.parametrize("text", ["unix:/run/air.sock", "tcp:127.0.0.1:7700", "tcp:localhost:0", "tcp:::1:7700"])
def test_places_are_read_and_written_alike(text: str) -> None:
    assert str(parse_place(text)) == text


@pytest.mark.parametrize("text", ["", "unix:", "tcp:7700", "tcp:host:", "tcp:host:x", "tcp:host:65536", "udp:host:1"])
def test_what_is_no_place_is_told(text: str) -> None:
    with pytest.raises(LocalTransportError, match="no place"):
        parse_place(text)
