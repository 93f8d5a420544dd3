"""The centrals that come, the honest and the others."""

import asyncio
import logging

import pytest

from tests.contract.transport_contract import Peer
from tests.support.virtual_time import VirtualTimeLoop
from tests.transports.ble.ends import End
from transports.ble.peripheral import MAX_CENTRALS
from transports.ble.pipe import Octets
from transports.ble.reception import MAX_SOURCES_LOGGED, Reception
from transports.duplex.message import MAX_MESSAGE_BYTES, Kind, Message, decode
from transports.duplex.serving import FIRST_ANSWER_S, IDLE_S
from transports.framing import Fragmenter, Reassembler

loop_factory = VirtualTimeLoop


def said(*messages: Message, first_number: int = 0) -> list[bytes]:
    fragmenter = Fragmenter(20, first_number=first_number, longest=MAX_MESSAGE_BYTES)
    return [fragment for message in messages for fragment in fragmenter.split(message.encode())]


def answers(end: End) -> list[Message]:
    reassembler = Reassembler(longest=MAX_MESSAGE_BYTES)
    heard = (reassembler.receive(fragment, 0) for fragment in end.said)
    return [decode(message, from_dialer=False) for message in heard if message is not None]


def come(reception: Reception, *fragments: bytes, source: str = "F0:00:00:00:00:01") -> End:
    end = End(source)
    for fragment in fragments:
        end.inbox.put(fragment)
    reception.arrived(end)
    return end


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_central_is_answered_and_its_tasks_end_with_it() -> None:
    before = asyncio.all_tasks()
    reception = Reception(Peer(), Octets())
    changes: list[int] = []
    reception.changed = lambda: changes.append(len(reception.sources))
    end = come(reception, *said(Message(Kind.REQUEST, 1, b"a frame")))
    await settle()
    assert answers(end) == [Message(Kind.ANSWER, 1, b"a frame")]
    assert reception.sources == {end.source}
    await end.aclose()
    await settle()
    assert changes == [1, 0]
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "garbage",
    [
        [b"\0"],
        [b"\0\1\0abc"],
        said(Message(Kind.ANSWER, 1, b"an acceptor's word")),
        [bytes([0, 0, 0]) + b"\xff\xff\xff"],
        said(Message(Kind.REQUEST, 1), Message(Kind.REQUEST, 1)),
    ],
    ids=["too short", "index above the last", "the other side's word", "no kind", "a number twice"],
)
async def test_who_breaks_the_rules_is_let_go_and_logged_once(
    garbage: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    reception = Reception(Peer(), Octets())
    good = come(reception, *said(Message(Kind.REQUEST, 1, b"before")), source="good")
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            bad = come(reception, *garbage, source="bad")
            await settle()
            assert bad.inbox.lost
    assert reception.malformed == 5
    assert len(caplog.records) == 1
    for fragment in said(Message(Kind.REQUEST, 2, b"after"), first_number=1):
        good.inbox.put(fragment)
    await settle()
    assert [message.frame for message in answers(good)] == [b"before", b"after"]
    await reception.aclose()


async def test_what_is_logged_of_many_sources_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    reception = Reception(Peer(), Octets())
    with caplog.at_level(logging.WARNING):
        for number in range(MAX_SOURCES_LOGGED + 20):
            come(reception, b"?", source=f"stranger {number}")
            await settle()
    assert len(caplog.records) == MAX_SOURCES_LOGGED
    assert reception.malformed == MAX_SOURCES_LOGGED + 20


async def test_a_flood_of_centrals_is_bounded_and_those_inside_are_served() -> None:
    reception = Reception(Peer(), Octets())
    inside = [come(reception, source=f"early {number}") for number in range(MAX_CENTRALS)]
    await settle()
    for number in range(100):
        late = come(reception, source=f"late {number}")
        await settle()
        assert late.inbox.lost
    assert reception.refused == 100
    for end in inside:
        for fragment in said(Message(Kind.REQUEST, 1, b"still here?")):
            end.inbox.put(fragment)
    await settle()
    assert all(answers(end) for end in inside)
    await reception.aclose()
    assert all(end.inbox.lost for end in inside)


async def test_who_is_of_no_use_makes_room_for_others() -> None:
    """A word that asks for nothing now and then keeps no place."""
    reception = Reception(Peer(), Octets())
    silent = come(reception)
    babbling = come(reception, *said(Message(Kind.CANCEL, 1)), source="babbling")
    talker = come(reception, *said(Message(Kind.REQUEST, 1, b"hello")), source="talker")
    await asyncio.sleep(FIRST_ANSWER_S + 1)
    assert silent.inbox.lost
    assert babbling.inbox.lost
    assert not talker.inbox.lost
    for number in range(1, 5):
        for fragment in said(Message(Kind.CANCEL, 1), first_number=number):
            talker.inbox.put(fragment)
        await asyncio.sleep(IDLE_S / 4)
    await asyncio.sleep(FIRST_ANSWER_S)
    assert talker.inbox.lost
    assert reception.malformed == 0


async def test_closing_stops_what_is_under_way() -> None:
    before = asyncio.all_tasks()
    peer = Peer()
    reception = Reception(peer, Octets())
    come(reception, *said(Message(Kind.REQUEST, 1, b"hold")))
    await peer.holding.wait()
    await reception.aclose()
    assert peer.cancelled
    assert asyncio.all_tasks() == before
    late = come(reception)
    await settle()
    assert late.inbox.lost
