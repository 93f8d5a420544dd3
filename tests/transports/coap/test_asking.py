"""One question, answered in every way that CoAP allows and in some that it doesn't."""

import asyncio
import os
from dataclasses import replace

import pytest

from tests.contract.transport_contract import next_frame
from tests.transports.coap.bench import LoopbackBench, Stranger, answer_to, dialled
from transports.coap.packet import Block, Code, Kind, Packet, empty
from transports.errors import LinkLost


async def test_a_request_is_repeated_under_one_message_id_until_it_is_answered(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(b"frame", timeout_ms=2_000))
            heard = [await stranger.hears() for _ in range(3)]
            assert heard[0] == heard[1] == heard[2]
            stranger.send(answer_to(heard[0], b"answer"), port)
            assert await asked == b"answer"
            assert await stranger.hears_nothing(100)


async def test_an_answer_may_come_apart_from_its_acknowledgement(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(b"frame", timeout_ms=2_000))
            request = await stranger.hears()
            stranger.send(empty(Kind.ACKNOWLEDGEMENT, request.mid), port)
            stranger.send(Packet(Kind.CONFIRMABLE, Code.CHANGED, 99, request.token, b"later"), port)
            assert await asked == b"later"
            assert await stranger.hears() == empty(Kind.ACKNOWLEDGEMENT, 99)


async def test_forged_answers_are_not_believed(bench: LoopbackBench) -> None:
    with Stranger() as stranger, Stranger() as forger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(b"frame", timeout_ms=2_000))
            request = await stranger.hears()
            right = answer_to(request, b"right")
            forger.send(replace(right, payload=b"forged"), port)
            stranger.send(replace(right, token=b"guess", payload=b"forged"), port)
            stranger.send(replace(right, mid=request.mid ^ 1, payload=b"forged"), port)
            stranger.send(right, port)
            assert await asked == b"right"


async def test_an_acceptor_may_ask_for_smaller_parts(bench: LoopbackBench) -> None:
    frame, got = os.urandom(2_000), b""
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(frame, timeout_ms=2_000))
            while len(got) < len(frame):
                part = await stranger.hears()
                assert part.block1 is not None
                assert part.block1.offset == len(got)
                got += part.payload
                smaller = replace(part.block1, size=256) if part.block1.number == 0 else part.block1
                code = Code.CONTINUE if part.block1.more else Code.CHANGED
                stranger.send(replace(answer_to(part, code=code), block1=smaller), port)
            assert await asked == b""
    assert got == frame


@pytest.mark.parametrize(
    "second",
    [
        {"block2": Block(2, False, 16), "etag": b"a"},
        {"block2": Block(1, False, 16), "etag": b"b"},
        {"block2": None},
        {"block2": Block(1, False, 16), "etag": b"a", "code": Code.NOT_FOUND},
    ],
)
async def test_parts_that_do_not_fit_are_a_lost_link(bench: LoopbackBench, second: dict[str, object]) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(b"", timeout_ms=2_000))
            first = replace(answer_to(await stranger.hears(), bytes(16)), block2=Block(0, True, 16), etag=b"a")
            stranger.send(first, port)
            wanted = await stranger.hears()
            assert wanted.block2 == Block(1, False, 16)
            stranger.send(replace(answer_to(wanted, b"x"), **second), port)  # type: ignore[arg-type]
            with pytest.raises(LinkLost):
                await asked


async def test_a_push_that_overtakes_the_opening_answer_comes_after_it(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            subscription = link.subscribe(b"status", timeout_ms=2_000)
            opening = asyncio.ensure_future(subscription.__aenter__())
            request = await stranger.hears()
            stranger.send(Packet(Kind.NON_CONFIRMABLE, Code.CONTENT, 9, request.token, b"push", observe=2), port)
            stranger.send(replace(answer_to(request, b"opening", Code.CONTENT), observe=1), port)
            frames = await opening
            assert [await next_frame(frames, 2_000), await next_frame(frames, 2_000)] == [b"opening", b"push"]
            await subscription.__aexit__(None, None, None)
