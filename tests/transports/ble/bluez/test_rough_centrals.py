"""Centrals that come by a bluetoothd which hangs, refuses, forgets, or asks for what makes no sense."""

import asyncio
import contextlib

import pytest
from dbus_fast import Variant

from tests.contract.transport_contract import until
from tests.transports.ble.bluez.dialer import arriving, lost, received
from tests.transports.ble.bluez.rough import meeting, path
from transports.ble.bluez.names import (
    OBJECT_MANAGER,
)
from transports.ble.peripheral import MAX_CENTRALS, MAX_WRITES
from transports.errors import LinkLost

ADAPTER_PATH = "/org/bluez/hci0"
FAILED = "org.bluez.Error.Failed"


pytestmark = pytest.mark.usefixtures("hurried_bus")


async def test_the_packet_size_follows_what_bluetoothd_tells() -> None:
    async with meeting() as (rough, _, arrived):
        await rough.subscribed(1)
        central = await arriving(arrived)
        assert central.packet_bytes == 20
        await rough.wrote(1, b"now more", mtu=Variant("q", 185))
        assert central.packet_bytes == 182
        await rough.wrote(1, b"nonsense", mtu=Variant("q", 5))
        assert central.packet_bytes == 20
        await rough.wrote(1, b"nonsense", mtu=Variant("s", "many"))
        assert central.packet_bytes == 20


async def test_notifications_wait_for_room_and_survive_being_given_up() -> None:
    async with meeting() as (rough, _, arrived):
        theirs = rough.socket_of(await rough.subscribed(1, mtu=Variant("q", 517)))
        central = await arriving(arrived)
        sent = 0

        async def until_full() -> None:
            nonlocal sent
            while True:
                await central.notify(sent.to_bytes(4, "big") * 100)
                sent += 1

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await until_full()
        assert 5 < sent < 100  # bounded
        waiting = asyncio.create_task(central.notify(b"after"))
        loop = asyncio.get_running_loop()
        assert [await loop.sock_recv(theirs, 512) for _ in range(sent)] == [
            number.to_bytes(4, "big") * 100 for number in range(sent)
        ]
        await waiting
        assert await loop.sock_recv(theirs, 512) == b"after"


async def test_a_notification_that_waits_learns_that_the_link_is_lost() -> None:
    async with meeting() as (rough, _, arrived):
        await rough.subscribed(1, mtu=Variant("q", 517))
        central = await arriving(arrived)

        async def until_lost() -> None:
            while True:
                await central.notify(bytes(512))

        notifying = asyncio.create_task(until_lost())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.shield(notifying)
        await rough.disconnected(1)
        await lost(central)
        done, _ = await asyncio.wait({notifying}, timeout=5)
        assert isinstance(done.pop().exception(), LinkLost)


@pytest.mark.parametrize("how", ["signal", "removed", "socket"])
async def test_every_way_to_learn_that_a_central_left(how: str) -> None:
    async with meeting() as (rough, _, arrived):
        theirs = rough.socket_of(await rough.subscribed(1))
        rough.socket_of(await rough.subscribed(2))
        central, other = await arriving(arrived), await arriving(arrived)
        if how == "signal":
            await rough.disconnected(1)
        elif how == "removed":
            await rough.signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", path(1), ["org.bluez.Device1"])
        else:
            theirs.close()
        await lost(central)
        await rough.wrote(2, b"still here")
        assert await received(other) == b"still here"


async def test_a_central_that_connects_anew_before_it_was_seen_to_leave() -> None:
    async with meeting() as (rough, _, arrived):
        await rough.subscribed(1)
        earlier = await arriving(arrived)
        await rough.subscribed(1)
        later = await arriving(arrived)
        await lost(earlier)
        await rough.wrote(1, b"anew")
        assert await received(later) == b"anew"
        assert (path(1), "Disconnect") not in rough.called


async def test_one_central_too_many_is_disconnected() -> None:
    async with meeting() as (rough, _, arrived):
        for number in range(MAX_CENTRALS):
            rough.socket_of(await rough.subscribed(number))
        answer = await rough.subscribed(MAX_CENTRALS)
        assert answer.error_name == FAILED
        await until(lambda: (path(MAX_CENTRALS), "Disconnect") in rough.called, 5_000)
        assert arrived.qsize() == MAX_CENTRALS
        await rough.disconnected(3)
        await lost([await arriving(arrived) for _ in range(MAX_CENTRALS)][3])
        rough.socket_of(await rough.subscribed(MAX_CENTRALS))
        await arriving(arrived)


async def test_writes_without_a_subscription_are_refused() -> None:
    async with meeting() as (rough, _, arrived):
        assert (await rough.wrote(1, b"hello?")).error_name == "org.bluez.Error.NotAuthorized"
        assert (await rough.acquired_write(1)).error_name == "org.bluez.Error.NotAuthorized"
        assert arrived.empty()


async def test_a_write_that_does_not_begin_at_the_beginning_is_refused() -> None:
    async with meeting() as (rough, _, arrived):
        await rough.subscribed(1)
        central = await arriving(arrived)
        answer = await rough.wrote(1, b"the rest", offset=Variant("q", 20))
        assert answer.error_name == "org.bluez.Error.InvalidOffset"
        assert (await rough.wrote(1, b"all", offset=Variant("q", 0))).error_name is None
        assert await received(central) == b"all"


async def test_a_write_socket_that_closes_leaves_calls_and_an_empty_write_is_one() -> None:
    async with meeting() as (rough, _, arrived):
        rough.socket_of(await rough.subscribed(1))
        central = await arriving(arrived)
        theirs = rough.socket_of(await rough.acquired_write(1))
        theirs.send(b"")
        theirs.send(b"by socket")
        assert [await received(central), await received(central)] == [b"", b"by socket"]
        theirs.send(b"last")
        theirs.close()
        assert await received(central) == b"last"
        await rough.wrote(1, b"by call")
        assert await received(central) == b"by call"
        again = rough.socket_of(await rough.acquired_write(1))
        once_more = rough.socket_of(await rough.acquired_write(1))
        once_more.send(b"the newer one counts")
        assert await received(central) == b"the newer one counts"
        with pytest.raises(BrokenPipeError):
            again.send(b"lost")


async def test_a_write_socket_that_is_flooded_ends_its_central_alone() -> None:
    async with meeting() as (rough, _, arrived):
        rough.socket_of(await rough.subscribed(1))
        flooding = await arriving(arrived)
        theirs = rough.socket_of(await rough.acquired_write(1))
        rough.socket_of(await rough.subscribed(2))
        other = await arriving(arrived)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while True:
                theirs.send(b"and more")
                await asyncio.sleep(0)
        assert await lost(flooding) == MAX_WRITES
        await until(lambda: (path(1), "Disconnect") in rough.called, 5_000)
        await rough.wrote(2, b"undisturbed")
        assert await received(other) == b"undisturbed"


async def test_notifying_in_the_moment_that_the_central_leaves() -> None:
    async with meeting() as (rough, _, arrived):
        theirs = rough.socket_of(await rough.subscribed(1))
        central = await arriving(arrived)
        theirs.close()
        with pytest.raises(LinkLost):
            await central.notify(b"too late")
        await lost(central)
