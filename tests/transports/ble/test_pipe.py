"""Messages over fragments of every size that BLE has."""

import asyncio
import os

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


def piped(end: End, octets: Octets | None = None, patience_ms: tuple[int, int] | None = None) -> FragmentPipe:
    return FragmentPipe(end, end.notify, octets or Octets(), patience_ms)


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


async def test_unfinished_messages_are_bounded() -> None:
    end = End("there")
    pipe = piped(end)
    for number in range(17):
        end.inbox.put(bytes([number, 0, 1]) + bytes(17))
    with pytest.raises(LinkLost, match="does not keep to the protocol"):
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


async def test_who_says_nothing_is_let_go_first_soon_and_later_late() -> None:
    loop = asyncio.get_running_loop()
    end = End("there")
    pipe = piped(end, patience_ms=(1_000, 60_000))
    end.inbox.put(Fragmenter(LEAST_PACKET_BYTES).split(b"hello")[0])
    assert await pipe.receive() == b"hello"
    before_s = loop.time()
    with pytest.raises(LinkLost, match="said nothing"):
        await pipe.receive()
    assert loop.time() - before_s == pytest.approx(60)
    before_s = loop.time()
    with pytest.raises(LinkLost, match="said nothing"):
        await piped(End("another"), patience_ms=(1_000, 60_000)).receive()
    assert loop.time() - before_s == pytest.approx(1)


async def test_half_a_message_now_and_then_is_saying_nothing() -> None:
    end = End("there")
    pipe = piped(end, patience_ms=(1_000, 60_000))
    loop = asyncio.get_running_loop()
    for tenth in range(1, 20):
        loop.call_later(tenth / 10, end.inbox.put, bytes([0, tenth, 255]) + bytes(17))
    before_s = loop.time()
    with pytest.raises(LinkLost, match="said nothing"):
        await pipe.receive()
    assert loop.time() - before_s == pytest.approx(1)


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
