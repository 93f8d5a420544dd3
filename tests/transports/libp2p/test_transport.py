"""The libp2p bearer as a whole, on loopback."""

import asyncio
import dataclasses
import socket
import threading

import pytest

from tests.contract.transport_contract import Bench, Peer, TransportContract, look, open_descriptors
from tests.transports.libp2p.bench import LoopbackBench, seed_of
from transports.errors import LinkLost, LocalTransportError
from transports.libp2p import host as host_module
from transports.libp2p.address import InvalidAddress
from transports.libp2p.host import peer_id_of
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.sockets import PortTaken
from transports.libp2p.transport import Libp2pTransport


class TestLibp2pTransport(TransportContract):
    window_ms = 2_000

    @pytest.fixture
    def bench(self) -> Bench:
        return LoopbackBench()


async def test_whoever_has_another_key_is_refused() -> None:
    bench = LoopbackBench()
    stranger = bench.address("b").rpartition("/")[0] + "/" + peer_id_of(seed_of("somebody else"))
    peer = Peer()
    async with bench.transport("b").serving(peer), bench.transport("a").serving(Peer()):
        pass
    dialer = bench.transport("a")
    async with bench.transport("b").serving(peer), dialer.serving(Peer()):
        with pytest.raises(LinkLost, match="can't be reached"):
            await dialer.dial(stranger)
        link = await dialer.dial(bench.address("b"))
        assert await link.request(b"to the right one", timeout_ms=5_000) == b"to the right one"
    assert peer.heard == [b"to the right one"]


async def test_a_node_does_not_dial_itself() -> None:
    bench = LoopbackBench()
    transport = bench.transport("a")
    async with transport.serving(Peer()):
        with pytest.raises(LinkLost, match="itself"):
            await transport.dial(bench.address("a"))


async def test_a_vehicle_is_somebody_else_at_each_start_and_a_site_is_not() -> None:
    for seed, lives in ((None, 2), (seed_of("site"), 1)):
        transport = Libp2pTransport(Libp2pSettings(host="127.0.0.1", seed=seed))
        seen = set()
        for _ in range(2):
            async with transport.serving(Peer()):
                seen.add(transport.address.rpartition("/")[2])
        assert len(seen) == lives


async def test_outside_of_serving_nothing_works_and_says_so() -> None:
    bench = LoopbackBench()
    transport = bench.libp2p("a")
    with pytest.raises(LocalTransportError, match="not serving"):
        await transport.dial(bench.address("b"))
    with pytest.raises(LocalTransportError, match="not serving"):
        _ = transport.address
    async with transport.serving(Peer()):
        assert transport.address == bench.address("a")
        with pytest.raises(InvalidAddress):
            await transport.dial("192.0.2.7:4001")
        with pytest.raises(LocalTransportError, match="already"):
            async with transport.serving(Peer()):
                pytest.fail("served twice at once")


async def test_a_taken_port_is_told_and_nothing_stays_open() -> None:
    bench = LoopbackBench()
    async with bench.transport("a").serving(Peer()):
        descriptors, threads = open_descriptors(), threading.active_count()
        with pytest.raises(PortTaken):
            async with bench.transport("a").serving(Peer()):
                pytest.fail("shared a port")
        assert (open_descriptors(), threading.active_count()) == (descriptors, threads)


async def test_no_thread_is_left() -> None:
    bench = LoopbackBench()
    threads = threading.active_count()
    async with bench.transport("a").serving(Peer()), bench.transport("b").serving(Peer()):
        assert threading.active_count() == threads + 2
    assert threading.active_count() == threads


async def test_a_look_around_goes_past_those_who_are_no_peers() -> None:
    bench = LoopbackBench()
    gone = bench.address("c")
    nobody = f"/ip4/127.0.0.1/tcp/{bench.ports['b']}/p2p/{'1' * 50}"
    another = bench.address("b").rpartition("/")[0] + "/" + peer_id_of(seed_of("somebody else"))
    known = (nobody, gone, another, bench.address("a"), bench.address("b"))
    looker = Libp2pTransport(dataclasses.replace(bench.settings("a"), bootstrap=known))
    async with bench.transport("b").serving(Peer()), looker.serving(Peer()):
        assert [sighting.address for sighting in await look(looker, 5_000)] == [bench.address("b")]
        with pytest.raises(InvalidAddress):
            await looker.dial(nobody)


async def test_who_accepts_and_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "UPGRADE_S", 0.5)
    bench = LoopbackBench()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}/p2p/{peer_id_of(seed_of('silent'))}"
        looker = Libp2pTransport(dataclasses.replace(bench.settings("a"), bootstrap=(address,)))
        async with looker.serving(Peer()):
            began_s = asyncio.get_running_loop().time()
            assert await look(looker, 300) == []
            assert asyncio.get_running_loop().time() - began_s < 2
            with pytest.raises(LinkLost, match="handshake"):
                await looker.dial(address)


async def test_ping() -> None:
    bench = LoopbackBench()
    dialer = bench.libp2p("a")
    async with bench.libp2p("b").serving(Peer()), dialer.serving(Peer()):
        assert 0 < await dialer.ping(bench.address("b")) < 5_000_000
        with pytest.raises(LinkLost):
            await dialer.ping(bench.address("c"))
