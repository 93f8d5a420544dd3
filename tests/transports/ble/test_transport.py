"""The BLE bearer as a whole, in a virtual air: HCI, L2CAP, ATT and GATT are real, the radio is not."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import pytest

from tests.contract.transport_contract import Bench, Peer, TransportContract, badge, look, until
from tests.transports.ble.bench import AirBench, in_the_air
from transports.ble.settings import BleSettings, InvalidAddress
from transports.ble.transport import BleTransport
from transports.ble.virtual.air import Air
from transports.errors import LocalTransportError
from transports.interface import Sighting


class TestBleTransport(TransportContract):
    silence_ms = 500
    window_ms = 400

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        async with in_the_air(Air()) as bench:
            yield bench


async def test_a_new_identifier_is_shown_when_the_link_ends_and_silence_at_once(bench: AirBench) -> None:
    looker, dialer, acceptor = bench.ble("c"), bench.ble("a"), bench.ble("b")
    older, newer = badge(), badge()
    acceptor.announce(older)
    async with looker.serving(Peer()), dialer.serving(Peer()), acceptor.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        acceptor.announce(newer)
        assert [sighting.announcement for sighting in await look(looker, 200)] == [older]
        await link.aclose()
        async with asyncio.timeout(2):
            while [sighting.announcement for sighting in await look(looker, 100)] != [newer]:
                pass
        link = await dialer.dial(bench.address("b"))
        acceptor.announce(None)
        async with asyncio.timeout(2):
            while await look(looker, 100):
                pass
        assert await link.request(b"linked still", timeout_ms=2_000) == b"linked still"
        await link.aclose()


async def test_outside_of_serving_nothing_works_and_says_so(bench: AirBench) -> None:
    transport = bench.ble("a")
    with pytest.raises(LocalTransportError, match="not serving"):
        await transport.dial(bench.address("b"))
    with pytest.raises(LocalTransportError, match="not serving"):
        await look(transport, 10)
    assert transport.address is None
    async with transport.serving(Peer()):
        assert transport.address == bench.address("a")
        with pytest.raises(LocalTransportError, match="already"):
            async with transport.serving(Peer()):
                pytest.fail("served twice at once")
        with pytest.raises(InvalidAddress):
            await transport.dial("coap:192.0.2.7:5701")
        assert await look(transport, 10) == []


async def test_a_look_around_that_is_left_early_leaves_no_scan(bench: AirBench) -> None:
    looker, shown = bench.ble("a"), bench.ble("b")
    shown.announce(badge())
    async with looker.serving(Peer()), shown.serving(Peer()):
        tasks = asyncio.all_tasks()
        looking = cast(AsyncGenerator[Sighting, None], looker.discover(window_ms=60_000))
        async with aclosing(looking) as sightings:
            async for sighting in sightings:
                link = await looker.dial(sighting.address)
                assert await link.request(b"while looking", timeout_ms=2_000) == b"while looking"
                await link.aclose()
                break
        await until(lambda: asyncio.all_tasks() <= tasks, 2_000)


async def test_an_address_of_ours_is_a_new_one_each_time_where_none_is_set(bench: AirBench) -> None:
    transport = BleTransport(BleSettings(air=str(bench.place)))
    addresses = set()
    for _ in range(2):
        async with transport.serving(Peer()):
            addresses.add(transport.address)
    assert len(addresses) == 2


def test_without_its_extra_an_air_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transports.ble.virtual.radio", None)
    with pytest.raises(LocalTransportError, match="virtual-ble"):
        BleTransport(BleSettings(air="unix:/run/air.sock"))


def test_the_bearer_alone_loads_no_radio_in_software() -> None:
    program = "import transports.ble.transport, sys; print('bumble' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
