"""The dialer's end of a link: requests, subscriptions, and what becomes of them."""

import asyncio
from dataclasses import replace

import pytest

from tests.contract.transport_contract import next_frame
from tests.transports.coap.bench import LoopbackBench, Stranger, answer_to, dialled, serving
from transports.coap.address import parse_address
from transports.coap.client import CoapLink
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


async def test_a_message_id_that_came_round_does_not_take_the_old_answer(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            assert isinstance(link, CoapLink)
            with pytest.raises(LinkLost):
                await link.request(b"first", timeout_ms=30)
            first = await stranger.hears()
            endpoint, peer = link._endpoint, parse_address(stranger.address)
            while (endpoint.new_mid(peer) + 1) & 0xFFFF != first.mid:
                pass
            asked = asyncio.create_task(link.request(b"65,536th", timeout_ms=2_000))
            while (again := await stranger.hears()).payload == b"first":
                pass
            assert again.mid == first.mid
            stranger.send(answer_to(first, b"to the first"), port)
            stranger.send(answer_to(again, b"to the 65,536th"), port)
            assert await asked == b"to the 65,536th"


async def test_nothing_of_a_request_stays_when_it_is_over(bench: LoopbackBench) -> None:
    with Stranger() as stranger:
        async with dialled(bench, stranger) as (link, port):
            assert isinstance(link, CoapLink)
            asked = asyncio.create_task(link.request(b"answered", timeout_ms=2_000))
            stranger.send(answer_to(await stranger.hears(), b"yes"), port)
            assert await asked == b"yes"
            with pytest.raises(LinkLost):
                await link.request(b"unanswered", timeout_ms=80)
            left = asyncio.create_task(link.request(b"given up", timeout_ms=2_000))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            assert not link._endpoint.attempts
            assert not link._endpoint._listeners


async def test_a_killed_acceptor_is_silent_and_its_successor_takes_a_new_subscription(bench: LoopbackBench) -> None:
    with Stranger() as killed:
        async with dialled(bench, killed) as (link, port):
            successor = replace(bench.settings("b"), port=parse_address(killed.address).port)
            subscription = link.subscribe(b"status", timeout_ms=2_000)
            opening = asyncio.ensure_future(subscription.__aenter__())
            request = await killed.hears()
            killed.send(replace(answer_to(request, b"opening", Code.CONTENT), observe=1), port)
            frames = await opening
            assert await next_frame(frames, 2_000) == b"opening"
            killed.__exit__()
            async with serving(successor) as node:
                with pytest.raises(TimeoutError):  # no word tells that the acceptor has forgotten: the silence does
                    await next_frame(frames, 100)
                async with link.subscribe(b"status", timeout_ms=2_000) as again:
                    assert await next_frame(again, 2_000) == b"opened status"
                    node.handler.pushers[-1].push(b"state", confirmed=True)
                    assert await next_frame(again, 2_000) == b"state"
                    await subscription.__aexit__(None, None, None)
                    node.handler.pushers[-1].push(b"next", confirmed=True)
                    assert await next_frame(again, 2_000) == b"next"
