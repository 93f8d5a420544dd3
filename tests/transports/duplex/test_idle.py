"""Dialers that take a place and make nothing of it, on a clock that jumps to the next thing to happen."""

import asyncio

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from tests.transports.duplex.served import Served
from transports.duplex.message import Kind, Message
from transports.duplex.serving import FIRST_ANSWER_S, IDLE_S

loop_factory = VirtualTimeLoop


async def lasts_s(served: Served) -> float:
    """How long it goes on from now."""
    began_s = asyncio.get_running_loop().time()
    await served.serving
    return asyncio.get_running_loop().time() - began_s


async def test_who_says_nothing_is_let_go(served: Served) -> None:
    assert await lasts_s(served) == pytest.approx(FIRST_ANSWER_S)


async def test_who_says_nothing_that_is_worth_an_answer_is_let_go_too(served: Served) -> None:
    for number in range(1, 4):
        await served.say(Message(Kind.REQUEST, number, b"hush"), Message(Kind.CANCEL, 1000 + number))
        await asyncio.sleep(FIRST_ANSWER_S / 4)
    assert await lasts_s(served) == pytest.approx(FIRST_ANSWER_S / 4)


async def test_an_answer_is_good_for_a_while(served: Served) -> None:
    await asyncio.sleep(FIRST_ANSWER_S / 2)
    await served.say(Message(Kind.REQUEST, 1, b"x"))
    await served.heard()
    await asyncio.sleep(IDLE_S / 2)
    await served.say(Message(Kind.CANCEL, 77))
    assert await lasts_s(served) == pytest.approx(IDLE_S / 2, abs=FIRST_ANSWER_S)


async def test_who_follows_a_session_or_waits_for_an_answer_may_be_silent(served: Served) -> None:
    await served.say(Message(Kind.SUBSCRIBE, 1, b"x"))
    await served.heard()
    await asyncio.sleep(10 * IDLE_S)
    assert not served.serving.done()
    await served.say(Message(Kind.REQUEST, 2, b"hold"), Message(Kind.CANCEL, 1))
    await asyncio.sleep(10 * IDLE_S)
    assert not served.serving.done()
    served.peer.released.set()
    await served.heard()
    assert await lasts_s(served) == pytest.approx(IDLE_S, abs=FIRST_ANSWER_S)
