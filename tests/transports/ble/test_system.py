"""The BLE bearer over BlueZ's D-Bus, both roles, with a stand-in for bluetoothd: what a machine with a radio runs."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.contract.transport_contract import Bench, Peer, TransportContract, badge, look
from tests.transports.ble.bluez.host import ADDRESSES, Host, host, obstacle
from tests.transports.ble.process import process
from transports.ble.settings import BleSettings
from transports.ble.transport import BleTransport
from transports.errors import LinkLost, LocalTransportError
from transports.interface import Link, Transport

NAMES = "bac"


class SystemBench:
    """A `Bench`: each node has an adapter of its own."""

    def transport(self, name: str) -> Transport:
        transport = BleTransport(BleSettings(adapter=f"hci{NAMES.index(name)}"))
        transport.announce(badge())
        return transport

    def address(self, name: str) -> str:
        return ADDRESSES[NAMES.index(name)]


@pytest.fixture(scope="module")
def bluetooth() -> Iterator[Host]:
    missing = obstacle()
    if missing is not None:
        said = f"the bearer over BlueZ is not tested: {missing}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    with host() as made:
        made.start_bus()
        made.start_bluetoothd(adapters=3)
        yield made


class TestBleTransportOverBlueZ(TransportContract):
    silence_ms = 500
    window_ms = 1_500

    @pytest.fixture
    def bench(self, bluetooth: Host, monkeypatch: pytest.MonkeyPatch) -> Bench:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
        return SystemBench()

    @pytest.mark.parametrize("first_to_stop", ["dialer", "acceptor"])
    async def test_stopping_with_work_in_flight_leaves_nothing(self, bench: Bench, first_to_stop: str) -> None:
        """bleak opens one connection to the bus in each event loop, and keeps it."""
        other = bench.transport("c")
        async with other.serving(Peer()):
            await look(other, 10)
        await super().test_stopping_with_work_in_flight_leaves_nothing(bench, first_to_stop)


async def test_one_adapter_looks_around_while_another_is_seen(bluetooth: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
    both = BleTransport(BleSettings(adapter="hci1", peripheral_adapter="hci2"))
    other = BleTransport(BleSettings(adapter="hci0"))
    both.announce(badge())
    other.announce(badge())
    async with both.serving(Peer()), other.serving(Peer()):
        link = await both.dial(ADDRESSES[0])
        assert await link.request(b"through one", timeout_ms=5_000) == b"through one"
        back = await other.dial(ADDRESSES[2])
        assert await back.request(b"through the other", timeout_ms=5_000) == b"through the other"
        await back.aclose()
        await link.aclose()


async def test_looks_and_dials_that_are_given_up_at_any_moment_stop_nobody_else(
    bluetooth: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BlueZ begins a discovery whether or not anybody waits for its answer, and refuses a second one."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
    dialer, other = BleTransport(BleSettings(adapter="hci1")), BleTransport(BleSettings(adapter="hci0"))
    other.announce(badge())
    async with dialer.serving(Peer()), other.serving(Peer()):
        for after_ms in range(0, 100, 10):
            given_up = [asyncio.create_task(look(dialer, 5_000)), asyncio.create_task(dialer.dial(ADDRESSES[2]))]
            await asyncio.wait(given_up, timeout=after_ms / 1000)
            for task in given_up:
                task.cancel()
            await asyncio.gather(*given_up, return_exceptions=True)
        assert len(await look(dialer, 1_000)) == 1


async def test_a_dial_during_a_look_hears_what_the_look_heard(bluetooth: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A discovery tells of each device once."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
    dialer, other = BleTransport(BleSettings(adapter="hci1")), BleTransport(BleSettings(adapter="hci0"))
    other.announce(badge())
    async with dialer.serving(Peer()), other.serving(Peer()):
        looking = aiter(dialer.discover(window_ms=60_000))
        assert (await anext(looking)).address == ADDRESSES[0]
        await asyncio.sleep(0.3)  # the radio hears it several times more, and tells of none
        async with asyncio.timeout(5):
            link = await dialer.dial(ADDRESSES[0])
        await link.aclose()
        async with asyncio.timeout(5):
            assert len(await look(dialer, 500)) == 1


async def test_an_adapter_that_is_not_there_is_told(bluetooth: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
    with pytest.raises(LocalTransportError, match="hci9"):
        async with BleTransport(BleSettings(adapter="hci9")).serving(Peer()):
            pytest.fail("served without an adapter")


async def test_without_bluetooth_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    with pytest.raises(LocalTransportError):
        async with BleTransport().serving(Peer()):
            pytest.fail("served without a bus")


@pytest.mark.processes
async def test_a_program_that_is_killed_is_a_lost_link_and_the_same_link_reaches_its_next_life(
    bluetooth: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The radios stay connected: only the program at the other end is gone, and BlueZ with it lives on."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluetooth.address)
    dialer = BleTransport(BleSettings(adapter="hci1"))
    async with dialer.serving(Peer()), AsyncExitStack() as stack:
        link: Link | None = None
        for life in (b"first", b"second", b"third"):
            async with process("tests.transports.ble.echo", "hci0") as (node, said):
                assert said == "serving"
                if link is None:
                    link = await dialer.dial(ADDRESSES[0])
                    stack.push_async_callback(link.aclose)
                assert await link.request(life, timeout_ms=5_000) == life
                node.kill()
                await node.wait()
                with pytest.raises(LinkLost):
                    await link.request(b"dead", timeout_ms=500)
