"""The dialer's side: one pipe a peer, whatever the number of links."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.contract.transport_contract import Peer, next_frame, until
from tests.transports.duplex.pipes import Cord, CordBench, CordTransport
from transports.duplex.message import Kind, Message, decode
from transports.duplex.serving import MAX_SUBSCRIPTIONS
from transports.duplex.trunk import MAX_PUSHES_WAITING, Trunk
from transports.errors import LinkLost

WITHIN_MS = 2_000


class Pair:
    """A dialer and an acceptor, both serving."""

    def __init__(self, dialer: CordTransport, acceptor: CordTransport, peer: Peer) -> None:
        self.dialer, self.acceptor, self.peer = dialer, acceptor, peer


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    bench = CordBench()
    pair = Pair(bench.transport("a"), bench.transport("b"), Peer())
    async with pair.acceptor.serving(pair.peer), pair.dialer.serving(Peer()):
        yield pair


async def test_two_links_to_one_peer_share_a_pipe_that_the_last_one_closes(pair: Pair) -> None:
    first, second = await pair.dialer.dial("b"), await pair.dialer.dial("b")
    assert len(pair.dialer.cords) == 1
    await first.aclose()
    assert await second.request(b"still", timeout_ms=WITHIN_MS) == b"still"
    await second.aclose()
    assert pair.dialer.cords[0].cut.is_set()


async def test_a_pipe_that_was_cut_is_opened_again_by_the_next_request(pair: Pair) -> None:
    link = await pair.dialer.dial("b")
    held = asyncio.create_task(link.request(b"hold", timeout_ms=WITHIN_MS))
    await pair.peer.holding.wait()
    pair.dialer.cords[0].cut.set()
    with pytest.raises(LinkLost):
        await held
    asked = [link.request(b"%d" % number, timeout_ms=WITHIN_MS) for number in range(5)]
    assert await asyncio.gather(*asked) == [b"0", b"1", b"2", b"3", b"4"]
    assert len(pair.dialer.cords) == 2
    assert pair.peer.cancelled == 1


async def test_who_stops_waiting_stops_the_work_there(pair: Pair) -> None:
    link = await pair.dialer.dial("b")
    held = asyncio.create_task(link.request(b"hold", timeout_ms=WITHIN_MS))
    await pair.peer.holding.wait()
    held.cancel()
    await until(lambda: pair.peer.cancelled == 1, WITHIN_MS)


async def test_a_link_that_is_closed_ends_its_subscription_there_while_the_others_go_on(pair: Pair) -> None:
    other = await pair.dialer.dial("b")
    for number in range(2 * MAX_SUBSCRIPTIONS):
        link = await pair.dialer.dial("b")
        async with link.subscribe(b"x", timeout_ms=WITHIN_MS) as frames:
            await next_frame(frames, WITHIN_MS)
            await link.aclose()
        await until(lambda: pair.peer.pushers[number].closed, WITHIN_MS)  # noqa: B023  # waited for here
    assert await other.request(b"still", timeout_ms=WITHIN_MS) == b"still"
    assert len(pair.dialer.cords) == 1


async def test_who_dials_while_the_last_link_closes_gets_a_pipe_of_its_own_after_that(pair: Pair) -> None:
    link = await pair.dialer.dial("b")
    slow, closed = pair.dialer.cords[0], asyncio.Event()
    close = slow.aclose

    async def take_time() -> None:
        await closed.wait()
        await close()

    slow.aclose = take_time  # type: ignore[method-assign]
    closing = asyncio.create_task(link.aclose())
    await asyncio.sleep(0)
    dialling = asyncio.create_task(pair.dialer.dial("b"))
    await asyncio.wait({closing, dialling}, timeout=0.1)
    assert not dialling.done()
    closed.set()
    again = await dialling
    assert await again.request(b"x", timeout_ms=WITHIN_MS) == b"x"
    assert len(pair.dialer.cords) == 2
    await closing
    await again.aclose()


async def test_a_peer_out_of_reach_is_a_lost_link_and_leaves_nothing(pair: Pair) -> None:
    with pytest.raises(LinkLost, match="nobody at c"):
        await pair.dialer.dial("c")
    assert pair.dialer._trunks._peers == {}


async def test_closing_while_it_connects_is_a_lost_link_for_all_that_wait() -> None:
    bench, stuck = CordBench(), asyncio.Event()
    dialer = bench.transport("a")

    async def connect(address: str) -> Cord:
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(dialer.serving(Peer()))
        dialer._trunks._connect = connect
        waiting = [asyncio.create_task(dialer.dial("b")) for _ in range(2)]
        await stuck.wait()
    for task in waiting:
        with pytest.raises(LinkLost):
            await task


# one trunk, its peer played by hand


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Trunk, Cord]]:
    cord = Cord("peer")
    trunk = Trunk(cord)
    running = asyncio.create_task(trunk.run())
    yield trunk, cord.other
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def heard(cord: Cord) -> Message:
    return decode(await cord.receive(), from_dialer=True)


async def test_answers_find_their_requests_in_any_order_and_strangers_are_ignored(ends: tuple[Trunk, Cord]) -> None:
    trunk, peer = ends
    asked = [asyncio.create_task(trunk.request(frame)) for frame in (b"one", b"two")]
    first, second = await heard(peer), await heard(peer)
    for message in (Message(Kind.ANSWER, 77, b"?"), Message(Kind.END, 78), Message(Kind.ANSWER, second.number, b"2")):
        await peer.send(message.encode())
    await peer.send(Message(Kind.ANSWER, first.number, b"1").encode())
    assert await asyncio.gather(*asked) == [b"1", b"2"]


async def test_an_answer_that_comes_twice_counts_once(ends: tuple[Trunk, Cord]) -> None:
    trunk, peer = ends
    asked = asyncio.create_task(trunk.request(b"one"))
    number = (await heard(peer)).number
    for frame in (b"right", b"wrong"):
        await peer.send(Message(Kind.ANSWER, number, frame).encode())
    assert await asked == b"right"


async def test_a_request_that_is_withdrawn_before_it_was_said_is_never_said(ends: tuple[Trunk, Cord]) -> None:
    trunk, peer = ends
    asked = asyncio.create_task(trunk.request(b"never"))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    later = asyncio.create_task(trunk.request(b"later"))
    assert (await heard(peer)).frame == b"later"
    later.cancel()
    assert (await heard(peer)).kind is Kind.CANCEL


async def test_a_peer_that_breaks_the_rules_is_a_lost_link(ends: tuple[Trunk, Cord]) -> None:
    trunk, peer = ends
    asked = asyncio.create_task(trunk.request(b"?"))
    await heard(peer)
    await peer.send(Message(Kind.REQUEST, 1, b"from the wrong side").encode())
    with pytest.raises(LinkLost, match="does not keep to the protocol"):
        await asked
    assert trunk.lost
    async with asyncio.timeout(WITHIN_MS / 1000):
        await peer.cut.wait()


async def test_of_many_pushes_the_opening_and_the_newest_are_kept(ends: tuple[Trunk, Cord]) -> None:
    trunk, peer = ends

    async def follow() -> list[bytes]:
        async with trunk.subscription(b"status", WITHIN_MS) as pushes:
            await done.wait()
            return [frame async for frame in pushes]

    done = asyncio.Event()
    following = asyncio.create_task(follow())
    number = (await heard(peer)).number
    many = 3 * MAX_PUSHES_WAITING
    for count in range(many):
        await peer.send(Message(Kind.PUSH, number, b"%d" % count).encode())
    await peer.send(Message(Kind.END, number).encode())
    asked = asyncio.create_task(trunk.request(b"through?"))
    await peer.send(Message(Kind.ANSWER, (await heard(peer)).number).encode())
    await asked
    done.set()
    assert await following == [b"0", *(b"%d" % count for count in range(many - MAX_PUSHES_WAITING + 1, many))]


async def test_an_end_after_the_opening_is_no_cancel(ends: tuple[Trunk, Cord]) -> None:
    trunk, peer = ends
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(stack.enter_async_context(trunk.subscription(b"status", WITHIN_MS)))
        number = (await heard(peer)).number
        await peer.send(Message(Kind.PUSH, number, b"opened").encode())
        pushes = await entering
        assert await next_frame(pushes, WITHIN_MS) == b"opened"
        await peer.send(Message(Kind.END, number).encode())
        with pytest.raises(StopAsyncIteration):
            await anext(pushes)
    later = asyncio.create_task(trunk.request(b"later"))
    assert (await heard(peer)).kind is Kind.REQUEST
    later.cancel()
