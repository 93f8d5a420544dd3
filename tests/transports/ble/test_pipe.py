"""Messages over fragments of every size that BLE has."""

import asyncio
import os
from collections.abc import Callable

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from tests.transports.ble.ends import End, pair
from transports.ble.gatt import LEAST_PACKET_BYTES, MOST_PACKET_BYTES
from transports.ble.pipe import SEND_MS, FragmentPipe, Octets
from transports.duplex.message import MAX_MESSAGE_BYTES
from transports.errors import FrameTooLarge, LinkLost
from transports.framing import HEADER_BYTES, Fragmenter

loop_factory = VirtualTimeLoop
SIZES = [LEAST_PACKET_BYTES, 182, MOST_PACKET_BYTES]


def piped(end: End, octets: Octets | None = None) -> FragmentPipe:
    return FragmentPipe(end, end.notify, octets or Octets())


@pytest.mark.parametrize("packet_bytes", SIZES)
@pytest.mark.parametrize("size", [0, 1, 17, 18, 400, MAX_MESSAGE_BYTES])
async def test_messages_of_every_size_arrive_in_order(packet_bytes: int, size: int) -> None:
    here, there = pair(packet_bytes)
    saying, hearing = piped(here), piped(there)
    messages = [os.urandom(size) for _ in range(3)]
    for message in messages:
        await saying.send(message)
    assert [await hearing.receive() for _ in messages] == messages
    assert max(len(fragment) for fragment in here.said) <= packet_bytes


async def test_more_messages_than_there_are_numbers_arrive() -> None:
    here, there = pair(LEAST_PACKET_BYTES)
    saying, hearing = piped(here), piped(there)
    for number in range(600):
        await saying.send(b"%d" % number)
        assert await hearing.receive() == b"%d" % number


async def test_the_size_may_change_between_messages() -> None:
    here, there = pair(LEAST_PACKET_BYTES)
    saying, hearing = piped(here), piped(there)
    for packet_bytes in (LEAST_PACKET_BYTES, MOST_PACKET_BYTES, 182):
        here.packet_bytes = packet_bytes
        message = os.urandom(1_000)
        await saying.send(message)
        assert await hearing.receive() == message


async def test_a_message_too_large_is_refused_and_says_nothing() -> None:
    here, _ = pair(MOST_PACKET_BYTES)
    with pytest.raises(FrameTooLarge):
        await piped(here).send(bytes(MAX_MESSAGE_BYTES + 1))
    assert here.said == []


async def test_octets_are_those_of_the_fragments() -> None:
    here, there = pair(LEAST_PACKET_BYTES)
    counted, heard = Octets(), Octets()
    await piped(here, counted).send(bytes(100))
    await piped(there, heard).receive()
    fragments = -(-100 // (LEAST_PACKET_BYTES - HEADER_BYTES))
    assert counted.sent == heard.received == 100 + fragments * HEADER_BYTES


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0", b"\0\0", b"\0\2\1abc", b"\0\xff\xfeabc"],
    ids=["empty", "one byte", "two bytes", "index above the last", "index far above"],
)
async def test_a_fragment_that_belongs_nowhere_ends_the_pipe(garbage: bytes) -> None:
    end = End("there")
    pipe = piped(end)
    end.inbox.put(garbage)
    with pytest.raises(LinkLost, match="does not keep to the protocol"):
        await pipe.receive()
    assert pipe.broken is not None
    assert end.inbox.lost
    with pytest.raises(LinkLost):
        await pipe.receive()
    with pytest.raises(LinkLost):
        await pipe.send(b"to nobody")


async def test_a_message_longer_than_any_ends_the_pipe() -> None:
    end = End("there")
    pipe = piped(end)
    for index in range(10):
        end.inbox.put(bytes([0, index, 9]) + bytes(509))
    with pytest.raises(LinkLost, match="does not keep to the protocol"):
        await pipe.receive()


def lost_one(fragments: list[bytes]) -> list[bytes]:
    return fragments[:2] + fragments[3:]


def lost_the_last(fragments: list[bytes]) -> list[bytes]:
    return fragments[:-1]


def one_twice(fragments: list[bytes]) -> list[bytes]:
    return fragments[:2] + fragments[1:]


def two_swapped(fragments: list[bytes]) -> list[bytes]:
    return [fragments[1], fragments[0], *fragments[2:]]


def another_length(fragments: list[bytes]) -> list[bytes]:
    return [*fragments[:1], bytes([0, 1, 9]) + bytes(17), *fragments[2:]]


@pytest.mark.parametrize("broken", [lost_one, lost_the_last, one_twice, two_swapped, another_length])
async def test_a_link_that_lost_a_fragment_or_changed_their_order_is_lost(
    broken: Callable[[list[bytes]], list[bytes]],
) -> None:
    """No link does, so it is a peer that is broken, and what it says after that can't be trusted either."""
    end = End("there")
    pipe = piped(end)
    fragmenter = Fragmenter(LEAST_PACKET_BYTES)
    for fragment in broken(fragmenter.split(bytes(60))) + fragmenter.split(b"the next"):
        end.inbox.put(fragment)
    with pytest.raises(LinkLost, match="out of turn"):
        await pipe.receive()
    assert pipe.broken is not None
    assert end.inbox.lost


async def test_a_message_that_is_missing_ends_the_pipe() -> None:
    end = End("there")
    pipe = piped(end)
    first, _, third = (Fragmenter(LEAST_PACKET_BYTES, first_number=number).split(b"a")[0] for number in range(3))
    end.inbox.put(first)
    end.inbox.put(third)
    assert await pipe.receive() == b"a"
    with pytest.raises(LinkLost, match="out of turn"):
        await pipe.receive()


async def test_a_message_that_was_begun_and_not_finished_is_the_last() -> None:
    here, there = pair(LEAST_PACKET_BYTES)
    here.stalled = asyncio.Event()
    saying, hearing = piped(here), piped(there)
    sending = asyncio.create_task(saying.send(bytes(100)))
    hearing_it = asyncio.create_task(hearing.receive())
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    with pytest.raises(LinkLost):
        await hearing_it
    with pytest.raises(LinkLost):
        await saying.send(b"after")


async def test_a_link_that_takes_nothing_is_lost() -> None:
    end = End("there")
    end.stalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    before_s = loop.time()
    with pytest.raises(LinkLost, match="took nothing"):
        await piped(end).send(b"anybody?")
    assert loop.time() - before_s == pytest.approx(SEND_MS / 1000)
    assert end.inbox.lost


async def test_what_came_before_the_end_is_still_heard() -> None:
    here, there = pair(182)
    hearing = piped(there)
    await piped(here).send(b"last words")
    await here.aclose()
    assert await hearing.receive() == b"last words"
    with pytest.raises(LinkLost, match="broke"):
        await hearing.receive()


async def test_closing_twice_is_closing_once_and_wakes_who_waits() -> None:
    end = End("there")
    pipe = piped(end)
    waiting = asyncio.create_task(pipe.receive())
    await asyncio.sleep(0)
    await pipe.aclose()
    await pipe.aclose()
    with pytest.raises(LinkLost):
        await waiting
