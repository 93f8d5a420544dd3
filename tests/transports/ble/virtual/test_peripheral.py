"""The peripheral's role in an air, by the promises of `transports.ble.peripheral`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from tests.contract.transport_contract import badge, until
from tests.transports.ble.bench import AirBench
from transports.ble.gatt import NOTIFY_UUID, WRITE_UUID
from transports.ble.peripheral import MAX_WRITES, Central, Peripheral
from transports.ble.virtual import peripheral as module
from transports.ble.virtual.air import Air
from transports.ble.virtual.radio import VirtualRadio
from transports.errors import LinkLost, LocalTransportError
from transports.identifier import pack_announcement

WITHIN_MS = 5_000


class Served:
    """A peripheral that is seen, and who came."""

    def __init__(self, peripheral: Peripheral, place: str, address: str) -> None:
        self.peripheral = peripheral
        self.place = place
        self.address = address
        self.arrived: asyncio.Queue[Central] = asyncio.Queue()

    async def next(self) -> Central:
        async with asyncio.timeout(WITHIN_MS / 1000):
            return await self.arrived.get()


class Client:
    def __init__(self, client: BleakClient, lost: asyncio.Event) -> None:
        self.client = client
        self.lost = lost
        self.heard: list[bytes] = []

    async def subscribe(self) -> None:
        await self.client.start_notify(NOTIFY_UUID, lambda _, value: self.heard.append(bytes(value)))

    async def write(self, value: bytes, *, response: bool = False) -> None:
        await self.client.write_gatt_char(WRITE_UUID, value, response=response)

    async def flood(self, writes: int) -> None:
        for number in range(writes):
            await self.write(b"%d" % number)


@pytest.fixture
async def served(bench: AirBench) -> AsyncIterator[Served]:
    radio = VirtualRadio(str(bench.place), bench.address("b"))
    async with radio.opened(lambda: None):
        made = Served(radio.peripheral, str(bench.place), bench.address("b"))
        async with radio.peripheral.serving(made.arrived.put_nowait):
            await radio.peripheral.advertise(pack_announcement(badge()))
            yield made


@asynccontextmanager
async def connected(served: Served, *, subscribed: bool = True) -> AsyncIterator[Client]:
    radio, lost = VirtualRadio(served.place), asyncio.Event()
    async with radio.opened(lambda: None):
        client = radio.client(BLEDevice(served.address, None, None), lambda _: lost.set())
        await client.connect()
        made = Client(client, lost)
        if subscribed:
            await made.subscribe()
        yield made


async def test_what_is_written_and_notified_arrives_in_order_and_there_alone(served: Served) -> None:
    async with connected(served) as first:
        to_first = await served.next()
        async with connected(served) as second:
            to_second = await served.next()
            for number in range(100):
                await first.write(b"first %d" % number, response=number % 10 == 0)
                await to_first.notify(b"to the first %d" % number)
                await to_second.notify(b"to the second %d" % number)
            assert [await to_first.receive() for _ in range(100)] == [b"first %d" % number for number in range(100)]
            await until(lambda: len(first.heard) == len(second.heard) == 100, WITHIN_MS)
            assert first.heard == [b"to the first %d" % number for number in range(100)]
            assert second.heard == [b"to the second %d" % number for number in range(100)]
            assert to_first.source != to_second.source


async def test_the_largest_fragment_fits_and_comes_whole(served: Served) -> None:
    async with connected(served) as client:
        central = await served.next()
        assert central.packet_bytes == 512
        await central.notify(bytes(range(256)) * 2)
        await client.write(bytes(range(256)) * 2)
        assert await central.receive() == bytes(range(256)) * 2
        await until(lambda: client.heard == [bytes(range(256)) * 2], WITHIN_MS)


async def test_who_writes_on_regardless_is_disconnected(served: Served) -> None:
    async with connected(served) as client:
        central = await served.next()
        with pytest.raises(BleakError):
            await client.flood(100 * MAX_WRITES)
        assert client.lost.is_set()
        assert [await central.receive() for _ in range(MAX_WRITES)] == [b"%d" % number for number in range(MAX_WRITES)]
        with pytest.raises(LinkLost):
            await central.receive()
        with pytest.raises(LinkLost):
            await central.notify(b"anybody?")


async def test_who_does_not_subscribe_makes_room(served: Served, air: Air, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUBSCRIBE_MS", 100)
    with contextlib.suppress(BleakError):  # on a slow machine it is let go before it has looked around
        async with connected(served, subscribed=False) as client, asyncio.timeout(WITHIN_MS / 1000):
            await client.lost.wait()
    await until(lambda: not air.ether.links(), WITHIN_MS)
    assert served.arrived.empty()


async def test_closing_a_central_disconnects_it_and_wakes_who_waits(served: Served) -> None:
    async with connected(served) as client:
        central = await served.next()
        waiting = asyncio.create_task(central.receive())
        await asyncio.sleep(0)
        await central.aclose()
        await central.aclose()
        with pytest.raises(LinkLost):
            await waiting
        async with asyncio.timeout(WITHIN_MS / 1000):
            await client.lost.wait()


async def test_who_comes_again_is_a_new_one(served: Served) -> None:
    centrals = []
    for _ in range(3):
        async with connected(served) as client:
            centrals.append(await served.next())
            await client.client.disconnect()
            with pytest.raises(LinkLost):
                await centrals[-1].receive()
    assert len(set(map(id, centrals))) == 3


async def test_outside_of_serving_nothing_is_shown(bench: AirBench) -> None:
    radio = VirtualRadio(str(bench.place))
    with pytest.raises(LocalTransportError, match="not serving"):
        await radio.peripheral.advertise(None)
    with pytest.raises(LocalTransportError, match="not open"):
        async with radio.peripheral.serving(lambda _: None):
            pytest.fail("served without a radio")
    async with radio.opened(lambda: None), radio.peripheral.serving(lambda _: None):
        with pytest.raises(LocalTransportError, match="already"):
            async with radio.peripheral.serving(lambda _: None):
                pytest.fail("served twice")
        with pytest.raises(LocalTransportError, match="already"):
            async with radio.opened(lambda: None):
                pytest.fail("opened twice")


async def test_leaving_disconnects_everybody(bench: AirBench, air: Air) -> None:
    radio = VirtualRadio(str(bench.place), bench.address("b"))
    async with radio.opened(lambda: None):
        served = Served(radio.peripheral, str(bench.place), bench.address("b"))
        async with radio.peripheral.serving(served.arrived.put_nowait):
            await radio.peripheral.advertise(pack_announcement(badge()))
            clients = connected(served), connected(served, subscribed=False)
            first, second = [await client.__aenter__() for client in clients]
            await served.next()
        async with asyncio.timeout(WITHIN_MS / 1000):
            await first.lost.wait()
            await second.lost.wait()
        assert not air.ether.links()
        for client in clients:
            await client.__aexit__(None, None, None)
