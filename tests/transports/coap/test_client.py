"""The dialer's end of a link: requests, subscriptions, and what becomes of them."""

import asyncio
from dataclasses import replace

import pytest

from tests.contract.transport_contract import next_frame
from tests.transports.coap.bench import LoopbackBench, Stranger, answer_to, dialled, serving
from transports.coap.packet import Code, Kind, Packet, empty
from transports.errors import LinkLost


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.ENTITY_TOO_LARGE, Code.ENTITY_INCOMPLETE])
async def test_a_refusal_is_a_lost_link_that_says_why(bench: LoopbackBench, code: Code) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(bytes(3_000), timeout_ms=2_000))
            request = await stranger.hears()
            stranger.send(answer_to(request, code=code), port)
            with pytest.raises(LinkLost, match=answer_to(request, code=code).code_text):
                await asked


async def test_a_reset_is_a_lost_link(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            asked = asyncio.create_task(link.request(b"", timeout_ms=2_000))
            stranger.send(empty(Kind.RESET, (await stranger.hears()).mid), port)
            with pytest.raises(LinkLost, match="refused"):
                await asked


async def test_an_acceptor_that_does_not_observe_opens_no_subscription(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            subscription = link.subscribe(b"status", timeout_ms=2_000)
            opening = asyncio.ensure_future(subscription.__aenter__())
            stranger.send(answer_to(await stranger.hears(), b"now", Code.CONTENT), port)
            with pytest.raises(LinkLost, match="does not push"):
                await opening


async def test_who_leaves_says_so_and_refuses_what_still_comes(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            subscription = link.subscribe(b"status", timeout_ms=2_000)
            opening = asyncio.ensure_future(subscription.__aenter__())
            request = await stranger.hears()
            stranger.send(replace(answer_to(request, b"opening", Code.CONTENT), observe=1), port)
            await opening
            await subscription.__aexit__(None, None, None)
            leaving = await stranger.hears()
            assert (leaving.code, leaving.observe, leaving.token) == (Code.FETCH, 1, request.token)
            for kind in (Kind.NON_CONFIRMABLE, Kind.CONFIRMABLE):
                stranger.send(Packet(kind, Code.CONTENT, 9, request.token, b"push", observe=2), port)
                assert await stranger.hears() == empty(Kind.RESET, 9)


async def test_a_slow_reader_misses_the_oldest_pushes_only(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as dialer, serving(bench.settings("b")) as acceptor:
        link = await dialer.transport.dial(bench.address("b"))
        async with link.subscribe(b"status", timeout_ms=2_000) as frames:
            await next_frame(frames, 2_000)
            for number in range(1_000):
                acceptor.handler.pushers[0].push(b"%d" % number, confirmed=False)
                if number % 10 == 0:
                    await link.request(b"fence", timeout_ms=2_000)
            await link.request(b"fence", timeout_ms=2_000)
            read = [int(await next_frame(frames, 2_000)) for _ in range(10)]
        assert read[-1] > 980
        await link.aclose()


async def test_a_silent_acceptor_does_not_hold_up_the_others_requests(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as dialer, serving(bench.settings("b")):
        link = await dialer.transport.dial(bench.address("b"))
        hushed = [asyncio.create_task(link.request(b"hush", timeout_ms=300)) for _ in range(8)]
        assert await link.request(b"stop", timeout_ms=250) == b"stop"
        outcomes = await asyncio.gather(*hushed, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LinkLost}
