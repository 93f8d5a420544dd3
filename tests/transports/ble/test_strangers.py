"""Programs of somebody else's on the same air, through a whole Bluetooth stack."""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from bumble.core import UUID, AdvertisingData
from bumble.device import Device
from bumble.gatt import Service

from tests.contract.transport_contract import Peer, badge, look, until
from tests.transports.ble.bench import AirBench
from transports.ble.advertisement import COMPANY_ID
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID
from transports.ble.peripheral import MAX_CENTRALS
from transports.ble.transport import BleTransport
from transports.ble.virtual.air import Air
from transports.ble.virtual.radio import VirtualRadio
from transports.errors import LinkLost
from transports.identifier import pack_announcement
from transports.interface import Link

WITHIN_MS = 5_000


@dataclass
class Stranger:
    """A central that writes what it likes. lost: its link broke."""

    client: BleakClient
    lost: asyncio.Event

    async def subscribe(self) -> None:
        await self.client.start_notify(NOTIFY_UUID, lambda *_: None)

    async def write(self, *fragments: bytes) -> None:
        for fragment in fragments:
            await self.client.write_gatt_char(WRITE_UUID, fragment, response=False)


@asynccontextmanager
async def radio(bench: AirBench, address: str | None = None) -> AsyncIterator[Device]:
    opened = VirtualRadio(str(bench.place), address)
    async with opened.opened(lambda: None):
        yield opened.device()


@asynccontextmanager
async def stranger(bench: AirBench, name: str = "b", *, subscribed: bool = True) -> AsyncIterator[Stranger]:
    """Connected to that node."""
    made, lost = VirtualRadio(str(bench.place)), asyncio.Event()
    async with made.opened(lambda: None):
        client = made.client(BLEDevice(bench.address(name), None, None), lambda _: lost.set())
        await client.connect()
        one = Stranger(client, lost)
        if subscribed:
            await one.subscribe()
        yield one


@dataclass
class Pair:
    """Two honest nodes with a link."""

    link: Link
    dialer: BleTransport
    acceptor: BleTransport
    peer: Peer

    async def still_talk(self) -> None:
        frame = os.urandom(400)
        assert await self.link.request(frame, timeout_ms=WITHIN_MS) == frame


@pytest.fixture
async def pair(bench: AirBench) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        dialer, acceptor, peer = bench.ble("a"), bench.ble("b"), Peer()
        acceptor.announce(badge())
        await stack.enter_async_context(acceptor.serving(peer))
        await stack.enter_async_context(dialer.serving(Peer()))
        link = await dialer.dial(bench.address("b"))
        stack.push_async_callback(link.aclose)
        yield Pair(link, dialer, acceptor, peer)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we logged; the stack under the other end has its own to say."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("transports")]


def garbage(seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(chance.choice([1, 2, 3, 4, 20, 182, 500])) for _ in range(40)]


@pytest.mark.parametrize("seed", range(5))
async def test_garbage_ends_its_own_link_only_and_is_logged_once(
    bench: AirBench, pair: Pair, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "transports"):
        async with stranger(bench) as bad:
            with contextlib.suppress(BleakError):  # let go in the middle of it
                await bad.write(*garbage(seed))
            async with asyncio.timeout(WITHIN_MS / 1000):
                await bad.lost.wait()
            await pair.still_talk()
    assert len(told(caplog)) == 1
    assert len(pair.peer.heard) == 1


async def test_half_a_frame_is_never_heard(bench: AirBench, pair: Pair) -> None:
    async with stranger(bench) as bad:
        await bad.write(*(bytes([0, index, 9]) + bytes(17) for index in range(9)))
        await pair.still_talk()
        assert not bad.lost.is_set()
    assert len(pair.peer.heard) == 1


async def test_who_writes_without_subscribing_is_not_heard(bench: AirBench, pair: Pair) -> None:
    async with stranger(bench, subscribed=False) as bad:
        await bad.write(*garbage(1))
        await pair.still_talk()
        await bad.subscribe()
        await bad.write(bytes([0, 0, 0, 1, 1]) + b"hello")
        await until(lambda: b"hello" in pair.peer.heard, WITHIN_MS)
        assert not bad.lost.is_set()


async def test_who_wants_to_hear_nothing_any_more_is_let_go(bench: AirBench, pair: Pair) -> None:
    async with stranger(bench) as bad:
        with contextlib.suppress(BleakError):  # let go before it is told that it may
            await bad.client.stop_notify(NOTIFY_UUID)
        async with asyncio.timeout(WITHIN_MS / 1000):
            await bad.lost.wait()
        await pair.still_talk()


async def test_a_flood_of_connections_is_bounded_and_disturbs_nobody(air: Air, bench: AirBench, pair: Pair) -> None:
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(stranger(bench)) for _ in range(MAX_CENTRALS - 1)]
        await pair.still_talk()
        for _ in range(5):
            with pytest.raises(BleakError):
                await stack.enter_async_context(stranger(bench))
        assert not any(one.lost.is_set() for one in crowd)
        await until(lambda: len(air.ether.links()) == MAX_CENTRALS, WITHIN_MS)
        await pair.still_talk()
    async with stranger(bench) as late:
        await pair.still_talk()
        assert not late.lost.is_set()


async def test_a_flood_of_requests_is_answered_no_faster_than_it_is_read(bench: AirBench, pair: Pair) -> None:
    async with stranger(bench) as bad:
        frame = bytes(1) + bytes([0, 0]) + b"\1"
        for number in range(1, 64):
            await bad.write(bytes([number - 1, 0, 0, 1, number]) + frame)
        await pair.still_talk()


def shown(manufacturer: dict[int, bytes], uuid: str = SERVICE_UUID) -> bytes:
    fields: list[tuple[int, bytes]] = [
        (AdvertisingData.FLAGS, b"\x06"),
        (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, UUID(uuid).to_bytes()),
    ]
    fields += [
        (AdvertisingData.MANUFACTURER_SPECIFIC_DATA, company.to_bytes(2, "little") + data)
        for company, data in manufacturer.items()
    ]
    return bytes(AdvertisingData(fields))


@pytest.mark.parametrize(
    "strange",
    [
        shown({}),
        shown({COMPANY_ID: b""}),
        shown({COMPANY_ID: bytes(5)}),
        shown({COMPANY_ID: bytes(7 - 1)}, NOTIFY_UUID),
        shown({0x004C: bytes(6)}),
        b"",
        b"\x1f" * 31,
    ],
    ids=["no data", "empty data", "too short", "another service", "another company", "nothing", "no structure"],
)
async def test_advertisements_of_others_are_passed_over(
    bench: AirBench, pair: Pair, strange: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = badge()
    pair.acceptor.announce(theirs)
    async with radio(bench) as device:
        await device.start_advertising(advertising_data=strange, advertising_interval_min=30)
        with caplog.at_level(logging.WARNING, "transports"):
            await look(pair.dialer, 300)
            await look(pair.dialer, 300)
    assert len(told(caplog)) <= 1


async def test_the_same_identifier_at_another_address_is_another_sighting(bench: AirBench) -> None:
    copied = badge()
    looking, seen_first = bench.ble("a"), bench.ble("b")
    seen_first.announce(copied)
    async with looking.serving(Peer()), seen_first.serving(Peer()), radio(bench) as device:
        data = shown({COMPANY_ID: pack_announcement(copied)})
        await device.start_advertising(advertising_data=data, advertising_interval_min=30)
        seen = await look(looking, 400)
    assert {sighting.address for sighting in seen} == {bench.address("b"), device.random_address.to_string(False)}
    assert len(seen) == 2


async def test_a_stranger_with_our_service_but_not_our_characteristics_is_a_lost_link(bench: AirBench) -> None:
    dialer, address = bench.ble("a"), bench.address("odd")
    async with dialer.serving(Peer()), radio(bench, address) as device:
        device.add_service(Service(SERVICE_UUID, []))
        await device.start_advertising(advertising_data=shown({}), advertising_interval_min=30)
        with pytest.raises(LinkLost, match="does not offer"):
            await dialer.dial(address)
        assert not device.connections
