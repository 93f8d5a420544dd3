"""Our peripheral and bleak's central, with D-Bus and a stand-in for bluetoothd between them."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from tests.contract.transport_contract import open_descriptors, until
from tests.transports.ble.bluez.dialer import (
    DATA,
    arriving,
    dialled,
    found,
    lost,
    received,
    serving,
    shown_and_served,
)
from transports.ble.bluez.central import BluezCentral
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.peripheral import MAX_WRITES, Peripheral
from transports.errors import LinkLost, LocalTransportError

pytestmark = pytest.mark.usefixtures("bluetooth")


def test_is_a_peripheral() -> None:
    assert isinstance(BluezPeripheral(None), Peripheral)


@pytest.mark.parametrize("by_socket", [True, False])
async def test_fragments_both_ways(by_socket: bool) -> None:
    async with serving() as (_, arrived), dialled("hci1", by_socket=by_socket) as dialer:
        central = await arriving(arrived)
        assert central.source == "00:11:22:33:44:02"
        assert central.packet_bytes == 512
        for fragment in (b"one", bytes(512), b"three"):
            await dialer.write(fragment)
            assert await received(central) == fragment
            await central.notify(fragment[::-1])
            assert await dialer.next() == fragment[::-1]


async def test_order_is_kept_both_ways() -> None:
    fragments = [number.to_bytes(2, "big") + os.urandom(100) for number in range(200)]
    async with serving() as (_, arrived), dialled("hci1", by_socket=True) as dialer:
        central = await arriving(arrived)

        async def write() -> None:
            for number, fragment in enumerate(fragments):
                await dialer.write(fragment, response=number % 8 == 0)

        async def notify() -> None:
            for fragment in fragments:
                await central.notify(fragment)

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            group.create_task(notify())
            taken = group.create_task(_take(lambda: received(central), len(fragments)))
            heard = group.create_task(_take(dialer.next, len(fragments)))
        assert taken.result() == heard.result() == fragments


async def test_who_is_connected_to_is_still_seen() -> None:
    """The kernel stops an advertisement when somebody connects."""
    async with serving() as (peripheral, arrived), dialled("hci1"):
        await arriving(arrived)
        await found("hci2", DATA)
        newer = bytes(reversed(DATA))
        await peripheral.advertise(newer)
        await found("hci2", newer)
        async with dialled("hci2", newer):
            await arriving(arrived)
            await found("hci3", newer)


async def test_several_centrals_are_kept_apart() -> None:
    """The first gets a socket for its writes; the second's first write comes by a call, until both could have one."""
    async with serving() as (_, arrived), dialled("hci1") as first_dialer:
        first = await arriving(arrived)
        async with dialled("hci2") as second_dialer:
            second = await arriving(arrived)
            assert (first.source, second.source) == ("00:11:22:33:44:02", "00:11:22:33:44:03")
            for _ in range(3):
                for dialer, central, word in ((second_dialer, second, b"second"), (first_dialer, first, b"first")):
                    await dialer.write(word)
                    assert await received(central) == word
                    await central.notify(word)
                    assert await dialer.next() == word
            assert first_dialer.heard.empty()
            assert second_dialer.heard.empty()


async def test_a_write_socket_is_given_while_it_can_be_no_other_centrals() -> None:
    async with serving() as (_, arrived), dialled("hci1") as first_dialer:
        first = await arriving(arrived)
        assert isinstance(first, BluezCentral)
        async with dialled("hci2") as second_dialer:
            second = await arriving(arrived)
            assert isinstance(second, BluezCentral)
            for dialer, central in ((first_dialer, first), (second_dialer, second)):
                await dialer.write(b"by a call")
                assert await received(central) == b"by a call"
                assert not central.has_write_socket
        await lost(second)
        await first_dialer.write(b"by a socket")
        assert await received(first) == b"by a socket"
        assert first.has_write_socket
        async with dialled("hci2") as second_dialer:
            second = await arriving(arrived)
            assert isinstance(second, BluezCentral)
            await second_dialer.write(b"by a socket too")
            assert await received(second) == b"by a socket too"
            assert second.has_write_socket


async def test_a_central_that_leaves_is_lost_and_a_new_one_when_it_comes_back() -> None:
    async with serving() as (_, arrived):
        async with dialled("hci1") as dialer:
            earlier = await arriving(arrived)
            await dialer.write(b"first life")
            assert await received(earlier) == b"first life"
        await lost(earlier)
        await earlier.aclose()
        async with dialled("hci1") as dialer:
            later = await arriving(arrived)
            assert later is not earlier
            await dialer.write(b"second life")
            assert await received(later) == b"second life"


async def test_a_central_that_unsubscribes_is_lost() -> None:
    async with serving() as (_, arrived), dialled("hci1") as dialer:
        central = await arriving(arrived)
        await dialer.unsubscribe()
        await lost(central)


async def test_closing_disconnects_it() -> None:
    async with serving() as (_, arrived), dialled("hci1") as dialer:
        central = await arriving(arrived)
        waiting = asyncio.create_task(central.receive())
        await asyncio.sleep(0)
        await central.aclose()
        await central.aclose()
        with pytest.raises(LinkLost):
            await waiting
        await lost(central)
        async with asyncio.timeout(5):
            await dialer.lost.wait()


async def test_a_central_that_writes_on_regardless_is_disconnected() -> None:
    async with serving() as (_, arrived), dialled("hci1") as dialer, dialled("hci2") as calm:
        flooding, other = await arriving(arrived), await arriving(arrived)

        async def flood() -> None:
            while True:
                await dialer.write(b"and more", response=False)

        writing = asyncio.create_task(flood())
        async with asyncio.timeout(10):
            await dialer.lost.wait()
        writing.cancel()  # the stand-in may not answer the last one
        await asyncio.gather(writing, return_exceptions=True)
        assert await lost(flooding) == MAX_WRITES
        await calm.write(b"undisturbed")
        assert await received(other) == b"undisturbed"


async def test_the_advertisement_is_replaced() -> None:
    older, newer = DATA, bytes(reversed(DATA))
    async with serving() as (peripheral, _):
        await found("hci1", older)
        await peripheral.advertise(newer)
        await found("hci1", newer)
        assert await shown_and_served() == (1, True)
        await peripheral.advertise(None)
        await peripheral.advertise(None)
        assert await shown_and_served() == (0, True)
        await peripheral.advertise(older)
        await found("hci1", older)


async def test_an_advertisement_given_up_half_way_is_no_hindrance() -> None:
    async with serving() as (peripheral, _):
        for turns in range(12):
            attempt = asyncio.create_task(peripheral.advertise(bytes([turns] * 6)))
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            await peripheral.advertise(DATA)
            assert await shown_and_served() == (1, True)


async def test_on_leaving_nothing_stays() -> None:
    async with serving() as (peripheral, arrived):
        assert (peripheral.adapter, peripheral.address) == ("hci0", "00:11:22:33:44:01")
        link = dialled("hci1")
        dialer = await link.__aenter__()
        central = await arriving(arrived)
        async with asyncio.timeout(5):
            while await shown_and_served() != (1, True):
                pass  # what the connection stopped is shown anew in a moment
    await lost(central)
    assert await shown_and_served() == (0, False)
    async with asyncio.timeout(5):
        await dialer.lost.wait()
    await link.__aexit__(None, None, None)
    assert (peripheral.adapter, peripheral.address) == (None, None)
    with pytest.raises(LocalTransportError, match="not serving"):
        await peripheral.advertise(DATA)


async def test_it_serves_again_after_it_stopped_and_once_at_a_time() -> None:
    peripheral = BluezPeripheral("hci0")
    for _ in range(2):
        async with peripheral.serving(lambda _: None):
            with pytest.raises(LocalTransportError, match="already"):
                async with peripheral.serving(lambda _: None):
                    pass
            await peripheral.advertise(DATA)
        assert await shown_and_served() == (0, False)


async def test_an_error_of_the_body_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serving():
            raise ZeroDivisionError
    assert await shown_and_served() == (0, False)


async def test_no_task_and_no_descriptor_stays() -> None:
    async def live() -> None:
        async with serving() as (_, arrived), dialled("hci1") as dialer:
            central = await arriving(arrived)
            await dialer.write(b"there")
            await central.notify(await received(central))
            await dialer.next()

    await live()  # bleak keeps a connection to the bus for itself
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    for _ in range(3):
        await live()
    await until(lambda: asyncio.all_tasks() <= tasks, 5_000)
    assert open_descriptors() == descriptors


async def _take(one: Callable[[], Awaitable[bytes]], number: int) -> list[bytes]:
    return [await one() for _ in range(number)]
