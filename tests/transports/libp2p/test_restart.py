"""The trio side dies, and is started again."""

import asyncio
import logging
import socket
import threading

import pytest

from tests.contract.transport_contract import Peer, look, open_descriptors
from tests.transports.libp2p.bench import LoopbackBench, kill
from transports.errors import LinkLost
from transports.interface import Link
from transports.libp2p import transport as module
from transports.libp2p.transport import Libp2pTransport


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RESTART_MS", 20)
    monkeypatch.setattr(module, "LAST_RESTART_MS", 80)


async def answered(link: Link, within_s: float = 10) -> bytes:
    """As the layers above do: ask until there is an answer."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await link.request(b"again", timeout_ms=1_000)
            except LinkLost:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("who", ["dialer", "acceptor"])
async def test_either_side_may_die_and_the_same_link_works_again(who: str, caplog: pytest.LogCaptureFixture) -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    threads, descriptors = threading.active_count(), open_descriptors()
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        for _ in range(3):
            kill(dialer if who == "dialer" else acceptor)
            assert await answered(link) == b"again"
        assert threading.active_count() == threads + 2
        await link.aclose()
    assert (threading.active_count(), open_descriptors()) == (threads, descriptors)
    said = [record for record in caplog.records if record.name == module.__name__]
    assert [record.levelno for record in said] == [logging.ERROR] * 3
    assert said[0].exc_info is not None


async def test_what_waits_is_told_and_handlers_end() -> None:
    bench = LoopbackBench()
    dialer, acceptor, peer = bench.libp2p("a"), bench.libp2p("b"), Peer()
    async with acceptor.serving(peer), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        held = asyncio.create_task(link.request(b"hold", timeout_ms=10_000))
        await peer.holding.wait()
        kill(dialer)
        with pytest.raises(LinkLost):
            await held
        async with asyncio.timeout(5):
            while not peer.cancelled:  # noqa: ASYNC110 - the handler has no event for it
                await asyncio.sleep(0.01)
        await link.aclose()


async def test_it_shows_again_what_it_showed() -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.transport("a"), bench.transport("b")
    assert isinstance(acceptor, Libp2pTransport)
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        before = {sighting.announcement for sighting in await look(dialer, 2_000)}
        kill(acceptor)
        async with asyncio.timeout(10):
            while {sighting.announcement for sighting in await look(dialer, 2_000)} != before:
                pass
    assert len(before) == 1


async def test_a_port_that_was_taken_meanwhile_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        kill(acceptor)
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await _bound(squatter, bench.ports["b"])
            squatter.listen()
            async with asyncio.timeout(5):
                while "can't be started" not in caplog.text:  # noqa: ASYNC110 - a log has no event for it
                    await asyncio.sleep(0.01)
        assert await answered(link) == b"again"
        await link.aclose()


async def _bound(sock: socket.socket, port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                await asyncio.sleep(0)
            else:
                return


async def test_stopping_while_it_is_down() -> None:
    bench = LoopbackBench()
    node = bench.libp2p("a")
    threads = threading.active_count()
    async with node.serving(Peer()):
        kill(node)
        bridge = node._running()._bridge
        assert bridge is not None
        assert isinstance(await bridge.ended(), ExceptionGroup)
        with pytest.raises(LinkLost):
            await node.dial(bench.address("b"))
    assert threading.active_count() == threads
