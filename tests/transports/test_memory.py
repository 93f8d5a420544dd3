"""The in-memory network passes the contract of every bearer, in fair weather and foul."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.contract.transport_contract import Bench, Peer, TransportContract, badge, look
from tests.support.virtual_time import VirtualTimeLoop
from transports.errors import LinkLost, LocalTransportError
from transports.memory import MemoryNetwork

loop_factory = VirtualTimeLoop


class _MemoryBench:
    def __init__(self, network: MemoryNetwork) -> None:
        self.transport = network.transport

    def address(self, name: str) -> str:
        return name


class TestFairWeather(TransportContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return _MemoryBench(MemoryNetwork(1))


class TestFoulWeather(TransportContract):
    """A fifth lost, a fifth twice, a fifth overtaken."""

    answer_ms = 60_000
    window_ms = 10_000

    @pytest.fixture(params=range(5))
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        foul = MemoryNetwork(
            request.param,
            loss_permille=200,
            duplicate_permille=200,
            reorder_permille=200,
            delay_ms=(5, 20),
        )
        return _MemoryBench(foul)


class TestSmallPackets(TransportContract):
    """Packets of 64 bytes, of which one in 200 gets lost: with them half of the largest frames."""

    answer_ms = 600_000
    window_ms = 10_000

    @pytest.fixture
    def bench(self) -> Bench:
        return _MemoryBench(MemoryNetwork(3, mtu=64, loss_permille=5, reorder_permille=100))


class TestSlowWeather(TransportContract):
    """10 kbps and 300 ms each way, of which a tenth gets lost."""

    answer_ms = 120_000
    window_ms = 20_000

    @pytest.fixture
    def bench(self) -> Bench:
        return _MemoryBench(MemoryNetwork(3, rate_bps=10_000, delay_ms=(300, 300), loss_permille=100))


async def _trace(seed: int) -> tuple[list[bytes], dict[str, int], float]:
    network = MemoryNetwork(seed, loss_permille=300, duplicate_permille=300, reorder_permille=300)
    peer = Peer()
    async with network.transport("b").serving(peer), network.transport("a").serving(Peer()) as _:
        dialer = network.transport("c")
        async with dialer.serving(Peer()):
            link = await dialer.dial("b")
            frames = [b"%d" % number for number in range(20)]
            await asyncio.gather(*(link.request(frame, timeout_ms=60_000) for frame in frames))
            return peer.heard, dialer.counters(), asyncio.get_running_loop().time()


def _run(seed: int) -> tuple[list[bytes], dict[str, int], float]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_trace(seed))


def test_one_seed_is_one_run() -> None:
    assert _run(7) == _run(7)
    assert _run(7) != _run(8)


def test_duplicates_reach_the_handler() -> None:
    heard, _, _ = _run(7)
    assert len(heard) > len(set(heard)) == 20


async def test_a_partition_cuts_and_heals() -> None:
    network = MemoryNetwork(1)
    dialer, acceptor = network.transport("a"), network.transport("b")
    async with dialer.serving(Peer()), acceptor.serving(Peer()):
        shown = badge()
        acceptor.announce(shown)
        link = await dialer.dial("b")
        network.partition("b", "a")
        with pytest.raises(LinkLost):
            await link.request(b"cut", timeout_ms=500)
        assert await look(dialer, 1_000) == []
        network.heal("a", "b")
        assert await link.request(b"healed", timeout_ms=500) == b"healed"
        assert shown in {sighting.announcement for sighting in await look(dialer, 1_000)}


async def test_loss_costs_time_and_not_the_request() -> None:
    network = MemoryNetwork(1)
    dialer = network.transport("a")
    async with dialer.serving(Peer()), network.transport("b").serving(Peer()):
        link = await dialer.dial("b")
        network.partition("a", "b")
        asked = asyncio.create_task(link.request(b"late", timeout_ms=30_000))
        asyncio.get_running_loop().call_later(3, network.heal, "a", "b")
        assert await asked == b"late"
        assert 3 < asyncio.get_running_loop().time() < 4


async def test_a_packet_waits_until_those_before_it_are_out() -> None:
    network = MemoryNetwork(1, rate_bps=10_000, delay_ms=(300, 300))
    dialer = network.transport("a")
    async with dialer.serving(Peer()), network.transport("b").serving(Peer()):
        link, now_s = await dialer.dial("b"), asyncio.get_running_loop().time
        assert await link.request(bytes(250), timeout_ms=5_000) == bytes(250)
        assert now_s() == pytest.approx(0.2 + 0.3 + 0.2 + 0.3)
        assert dialer.counters()["bytes_sent"] == 250  # nothing was repeated in vain
        await asyncio.gather(*(link.request(bytes(125), timeout_ms=5_000) for _ in range(3)))
        assert now_s() == pytest.approx(1.0 + 3 * 0.1 + 0.3 + 0.1 + 0.3)


async def test_both_directions_have_the_rate_to_themselves() -> None:
    network = MemoryNetwork(1, rate_bps=10_000, delay_ms=(0, 0))
    one, other = network.transport("a"), network.transport("b")
    async with one.serving(Peer()), other.serving(Peer()):
        links = await one.dial("b"), await other.dial("a")
        await asyncio.gather(*(link.request(bytes(125), timeout_ms=5_000) for link in links))
        assert asyncio.get_running_loop().time() == pytest.approx(0.1 + 0.1)


@pytest.mark.parametrize("wrong", [{"rate_bps": 0}, {"delay_ms": (5, 1)}])
def test_a_network_that_can_not_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MemoryNetwork(1, **wrong)


async def test_an_address_is_served_once() -> None:
    network = MemoryNetwork(1)
    async with network.transport("a").serving(Peer()):
        with pytest.raises(LocalTransportError, match="already"):
            async with network.transport("a").serving(Peer()):
                pytest.fail("two nodes served one address")


async def test_a_closed_bearer_says_so() -> None:
    transport = MemoryNetwork(1).transport("a")
    with pytest.raises(LocalTransportError, match="not open"):
        await transport.dial("b")
    with pytest.raises(LocalTransportError, match="not open"):
        await look(transport, 10)


async def test_a_killed_acceptor_is_silent_and_its_dialer_can_subscribe_again() -> None:
    network = MemoryNetwork(1)
    dialer, peer = network.transport("a"), Peer()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(dialer.serving(Peer()))
        link = await dialer.dial("b")
        async with network.transport("b").serving(Peer()):
            subscription = link.subscribe(b"one", timeout_ms=1_000)
            frames = await stack.enter_async_context(subscription)
            assert await anext(frames) == b"opened one"
            network.partition("a", "b")
        network.heal("a", "b")
        await stack.enter_async_context(network.transport("b").serving(peer))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await anext(frames)
        async with link.subscribe(b"two", timeout_ms=1_000) as again:
            assert await anext(again) == b"opened two"


async def test_a_dialer_that_dies_is_noticed_by_confirmed_pushes() -> None:
    network = MemoryNetwork(1)
    dialer, peer = network.transport("a"), Peer()
    async with network.transport("b").serving(peer), dialer.serving(Peer()):
        link = await dialer.dial("b")
        async with link.subscribe(b"status", timeout_ms=1_000):
            pusher = peer.pushers[0]
            network.partition("a", "b")
            pusher.push(b"unconfirmed", confirmed=False)
            await asyncio.sleep(60)
            assert not pusher.closed
            pusher.push(b"confirmed", confirmed=True)
            await asyncio.sleep(60)
            assert pusher.closed


async def test_a_handler_that_fails_is_loud_when_serving_ends() -> None:
    class Broken(Peer):
        async def answer(self, frame: bytes, source: str) -> bytes | None:
            raise ZeroDivisionError(frame)

    network = MemoryNetwork(1)
    dialer = network.transport("a")

    async def ask_in_vain() -> None:
        async with network.transport("b").serving(Broken()):
            link = await dialer.dial("b")
            with pytest.raises(LinkLost):
                await link.request(b"", timeout_ms=100)

    async with dialer.serving(Peer()):
        with pytest.raises(ZeroDivisionError):
            await ask_in_vain()


@pytest.mark.parametrize("delay_ms", [(-1, 5), (5, 1)])
def test_impossible_delays_are_refused(delay_ms: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="delay"):
        MemoryNetwork(1, delay_ms=delay_ms)
