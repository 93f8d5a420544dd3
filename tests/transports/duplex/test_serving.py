"""The acceptor's side, its dialer played by hand."""

import asyncio

import pytest

from tests.contract.transport_contract import until
from tests.transports.duplex.pipes import ROOM
from tests.transports.duplex.served import WITHIN_MS, Served
from transports.duplex.message import Kind, Message
from transports.duplex.serving import MAX_REQUESTS, MAX_SUBSCRIPTIONS, MAX_UNSENT
from transports.errors import Malformed


async def test_more_requests_than_are_worked_on_are_lost_and_the_others_answered(served: Served) -> None:
    await served.say(*(Message(Kind.REQUEST, number, b"hold") for number in range(1, MAX_REQUESTS + 2)))
    await until(lambda: len(served.peer.heard) == MAX_REQUESTS, WITHIN_MS)
    served.peer.released.set()
    answered = {(await served.heard()).number for _ in range(MAX_REQUESTS)}
    assert answered == set(range(1, MAX_REQUESTS + 1))
    await served.say(Message(Kind.REQUEST, 100, b"after"))
    assert await served.heard() == Message(Kind.ANSWER, 100, b"after")


async def test_more_subscriptions_than_there_is_room_for_are_refused(served: Served) -> None:
    await served.say(*(Message(Kind.SUBSCRIBE, number, b"x") for number in range(1, MAX_SUBSCRIPTIONS + 1)))
    for _ in range(MAX_SUBSCRIPTIONS):
        assert (await served.heard()).kind is Kind.PUSH
    await served.say(Message(Kind.SUBSCRIBE, 50, b"x"))
    assert await served.heard() == Message(Kind.END, 50)
    await served.say(Message(Kind.CANCEL, 1), Message(Kind.SUBSCRIBE, 51, b"x"))
    assert await served.heard() == Message(Kind.PUSH, 51, b"opened x")


async def test_states_that_the_pipe_has_no_room_for_are_replaced_by_newer_ones(served: Served) -> None:
    await served.say(Message(Kind.SUBSCRIBE, 1, b"x"))
    await until(lambda: bool(served.peer.pushers), WITHIN_MS)
    pusher = served.peer.pushers[0]
    await until(lambda: served.cord.waiting.qsize() == 1, WITHIN_MS)
    for number in range(1_000):
        pusher.push(b"%d" % number, confirmed=False)
    pusher.close()
    said = [await served.heard() for _ in range(3)]
    assert said == [Message(Kind.PUSH, 1, b"opened x"), Message(Kind.PUSH, 1, b"999"), Message(Kind.END, 1)]
    pusher.push(b"late", confirmed=True)
    await served.say(Message(Kind.REQUEST, 2, b"nothing between"))
    assert (await served.heard()).number == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x07\x01",
        b"\x04\x01answer",
        b"\x01",
        b"\x01\x00zero",
        b"\x01\x40\x01longer than need be",
        b"\x03\x01a cancel with a frame",
        b"\x01\x01" + bytes(4_097),
        b"\x01\x05a number again",
        b"\x02\x04a number from before",
    ],
    ids=lambda data: data[:8].hex() or "empty",
)
async def test_a_dialer_that_breaks_the_rules_is_left_and_nothing_runs_on(served: Served, data: bytes) -> None:
    await served.say(Message(Kind.REQUEST, 5, b"hold"))
    await served.peer.holding.wait()
    await served.cord.send(data)
    with pytest.raises(Malformed):
        await served.serving
    assert served.cord.cut.is_set()
    assert served.peer.cancelled == 1
    assert served.peer.heard == [b"hold"]


async def test_a_handler_that_fails_is_told_to_the_loop_and_the_others_go_on(served: Served) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    served.peer.heard = None  # type: ignore[assignment]
    await served.say(Message(Kind.REQUEST, 1, b"fails"))
    await until(lambda: bool(told), WITHIN_MS)
    served.peer.heard = []
    await served.say(Message(Kind.REQUEST, 2, b"works"))
    assert (await served.heard()).frame == b"works"
    assert [type(each) for each in told] == [AttributeError]


@pytest.mark.parametrize(("kind", "frame"), [(Kind.SUBSCRIBE, b"refuse"), (Kind.REQUEST, b"quick")])
async def test_who_asks_and_never_reads_is_not_heard_beyond_what_may_wait(
    served: Served, kind: Kind, frame: bytes
) -> None:
    async def ask() -> None:
        for number in range(1, 20 * MAX_UNSENT):
            await served.say(Message(kind, number, frame))

    asking = asyncio.create_task(ask())
    done, _ = await asyncio.wait({asking}, timeout=1)
    asking.cancel()
    assert not done
    assert len(served.peer.heard) <= MAX_UNSENT + 2 * ROOM + MAX_REQUESTS
    assert not served.serving.done()


async def test_who_reads_again_is_heard_again(served: Served) -> None:
    last = 3 * MAX_UNSENT
    asking = asyncio.create_task(served.say(*(Message(Kind.REQUEST, each, b"x") for each in range(1, last + 1))))
    answered = set()
    while last not in answered:
        answered.add((await served.heard()).number)
    await asking


async def test_a_dialer_that_takes_nothing_any_more_and_is_cut_is_let_go(served: Served) -> None:
    asking = asyncio.create_task(served.say(*(Message(Kind.REQUEST, each, b"x") for each in range(1, 20 * MAX_UNSENT))))
    await until(lambda: len(served.peer.heard) >= MAX_UNSENT, WITHIN_MS)
    await served.cord.aclose()
    async with asyncio.timeout(WITHIN_MS / 1000):
        await served.serving
    await asyncio.gather(asking, return_exceptions=True)
