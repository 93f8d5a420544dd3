"""The trio side dies, and is started again."""

import asyncio
import dataclasses
import logging
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.contract.transport_contract import Peer, look, open_descriptors
from tests.transports.libp2p.bench import Fault, LoopbackBench, kill
from transports.errors import LinkLost
from transports.interface import Link
from transports.libp2p import lives as module
from transports.libp2p.host import Host
from transports.libp2p.transport import Libp2pTransport
from transports.libp2p.vicinity import Vicinity


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
        bridge = node._running().lives.bridge
        assert bridge is not None
        assert isinstance(await bridge.ended(), ExceptionGroup)
        with pytest.raises(LinkLost):
            await node.dial(bench.address("b"))
    assert threading.active_count() == threads


@pytest.mark.parametrize("after_it_was_ready", [True, False])
async def test_a_life_that_ends_at_its_start_is_followed_by_another(
    after_it_was_ready: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    monkeypatch.setattr(module, "FIRST_RESTART_MS", 500)
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        kill(acceptor)
        async with asyncio.timeout(5):
            while acceptor._running().lives.host is not None:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        monkeypatch.setattr(Host, "run", short_lived(3, after_it_was_ready=after_it_was_ready))
        assert await answered(link, within_s=20) == b"again"
        await link.aclose()
    assert [record.levelno for record in caplog.records if record.name == module.__name__] == [logging.ERROR] * 4


async def test_what_ends_the_first_start_is_told_as_the_bearers_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "run", short_lived(1, after_it_was_ready=False))
    threads = threading.active_count()
    with pytest.raises(module.NotStarted, match="Fault"):
        async with LoopbackBench().libp2p("a").serving(Peer()):
            pytest.fail("it serves without a host")
    assert threading.active_count() == threads


Run = Callable[[Host, str, int, Callable[[int], None]], Awaitable[None]]


def short_lived(lives: int, *, after_it_was_ready: bool) -> Run:
    """A host whose first lives end at their start, as one does that a stranger sends what the library can't bear."""
    left, real = [lives], Host.run

    async def run(host: Host, where: str, port: int, started: Callable[[int], None]) -> None:
        if not left[0]:
            await real(host, where, port, started)
            return
        left[0] -= 1
        if after_it_was_ready:
            started(port)
        raise Fault

    return run


async def test_a_part_that_does_not_stop_keeps_no_other_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Vicinity.aclose

    async def fail(vicinity: Vicinity) -> None:
        await real(vicinity)
        raise Fault

    monkeypatch.setattr(Vicinity, "aclose", fail)
    node = Libp2pTransport(dataclasses.replace(LoopbackBench().settings("a"), mdns=True))
    threads = threading.active_count()
    with pytest.raises(Fault):
        async with node.serving(Peer()):
            assert threading.active_count() > threads
    assert threading.active_count() == threads
