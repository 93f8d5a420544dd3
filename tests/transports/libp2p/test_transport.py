"""The libp2p bearer as a whole, on loopback."""

import asyncio
import contextlib
import dataclasses
import socket
import threading
from collections.abc import Sequence

import pytest
import trio

from tests.contract.transport_contract import Bench, Peer, TransportContract, badge, look, open_descriptors, until
from tests.transports.libp2p.bench import LoopbackBench, on_host, seed_of, sockets_of
from tests.transports.libp2p.hostile import attacking
from transports.coap.datagrams import has_ipv6
from transports.errors import LinkLost, LocalTransportError
from transports.libp2p import host as host_module
from transports.libp2p import lookout as lookout_module
from transports.libp2p.address import InvalidAddress, PeerAddress
from transports.libp2p.host import peer_id_of
from transports.libp2p.library import ID, BasicHost, INetStream, StreamFailure, TProtocol
from transports.libp2p.pipe import StreamPipe
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.sockets import SILENT_S, PortTaken
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


async def test_who_does_not_answer_a_look_hides_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout_module, "ASKED_AT_ONCE", 2)
    bench = LoopbackBench()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}/p2p/"
        known = (*(where + peer_id_of(seed_of(name)) for name in ("one", "two")), bench.address("b"))
        looker = Libp2pTransport(dataclasses.replace(bench.settings("a"), bootstrap=known))
        async with bench.transport("b").serving(Peer()), looker.serving(Peer()):
            assert [sighting.address for sighting in await look(looker, 4_000)] == [bench.address("b")]


async def test_a_false_address_of_a_peer_does_not_hide_the_peer() -> None:
    bench = LoopbackBench()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        false = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}/p2p/{peer_id_of(seed_of('b'))}"
        looker = Libp2pTransport(dataclasses.replace(bench.settings("a"), bootstrap=(false, bench.address("b"))))
        async with bench.transport("b").serving(Peer()), looker.serving(Peer()):
            assert [sighting.address for sighting in await look(looker, 4_000)] == [bench.address("b")]


async def test_ping() -> None:
    bench = LoopbackBench()
    dialer = bench.libp2p("a")
    async with bench.libp2p("b").serving(Peer()), dialer.serving(Peer()):
        assert 0 < await dialer.ping(bench.address("b")) < 5_000_000
        with pytest.raises(LinkLost):
            await dialer.ping(bench.address("c"))


async def test_giving_up_a_dial_that_has_just_succeeded_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    dialled, real = asyncio.Event(), host_module.Host.dial

    async def slow(host: host_module.Host, address: PeerAddress) -> StreamPipe:
        with trio.CancelScope() as scope:
            scope.shield = True
            pipe = await real(host, address)
            host._bridge.to_asyncio(dialled.set)
            await trio.sleep(0.1)
        return pipe

    monkeypatch.setattr(host_module.Host, "dial", slow)
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        dialling = asyncio.create_task(dialer.dial(bench.address("b")))
        await dialled.wait()
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        await until(lambda: not sockets_of(dialer).open and not sockets_of(acceptor).open, 5_000)


async def test_links_that_are_not_used_any_more_take_their_connection_with_them() -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        links = [await dialer.dial(bench.address("b")) for _ in range(3)]
        assert len(sockets_of(acceptor).open) == 1
        await links[0].aclose()
        await links[1].aclose()
        assert await links[2].request(b"still", timeout_ms=5_000) == b"still"
        await links[2].aclose()
        await until(lambda: not sockets_of(dialer).open and not sockets_of(acceptor).open, 5_000)


async def test_who_was_looked_at_is_dialled_over_the_same_connection() -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.transport("a"), bench.libp2p("b")
    acceptor.announce(badge())
    assert isinstance(dialer, Libp2pTransport)
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        (sighting,) = await look(dialer, 2_000)
        (looked,) = sockets_of(dialer).open
        link = await dialer.dial(sighting.address)
        assert sockets_of(dialer).open == {looked}
        await link.aclose()


async def test_both_may_dial_each_other_over_one_connection() -> None:
    bench = LoopbackBench()
    one, other = bench.libp2p("a"), bench.libp2p("b")
    async with one.serving(Peer()), other.serving(Peer()):
        there = await one.dial(bench.address("b"))
        back = await other.dial(bench.address("a"))
        assert len(sockets_of(one).open) == 1
        assert await back.request(b"back", timeout_ms=5_000) == b"back"
        await there.aclose()
        assert await back.request(b"still", timeout_ms=5_000) == b"still"
        await back.aclose()


async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "IDLE_S", 0.2)
    bench = LoopbackBench()
    node = bench.libp2p("b")
    async with node.serving(Peer()), attacking(node.address) as idler:
        await idler.do(idler.connection)
        assert len(sockets_of(node).open) == 1
        await until(lambda: not sockets_of(node).open, 5_000)


async def test_while_connections_break_each_request_is_answered_once_or_fails_in_time() -> None:
    bench = LoopbackBench()
    dialer, acceptor, peer = bench.libp2p("a"), bench.libp2p("b"), Peer()
    answered = 0
    async with acceptor.serving(peer), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        for number in range(60):
            cut = asyncio.create_task(cut_all(dialer if number % 2 else acceptor)) if number % 5 == 4 else None
            frame = b"%d" % number
            began_s = asyncio.get_running_loop().time()
            with contextlib.suppress(LinkLost):
                assert await link.request(frame, timeout_ms=5_000) == frame
                answered += 1
            assert asyncio.get_running_loop().time() - began_s < 6
            if cut is not None:
                await cut
        await link.aclose()
    assert answered >= 40
    assert len(peer.heard) == len(set(peer.heard))


async def test_a_connection_that_looks_alive_and_is_not_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the peer was started again a moment ago: its end is on its way to us."""
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    monkeypatch.setattr(host_module, "LINGER_S", 60)
    real = BasicHost.new_stream
    failed: list[object] = []

    async def fails_once(host: BasicHost, peer: ID, protocols: Sequence[TProtocol]) -> INetStream:
        if not failed and list(protocols) == [host_module.TRADE_PROTOCOL]:
            failed.append(peer)
            raise StreamFailure
        return await real(host, peer, protocols)

    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        await link.aclose()
        (old,) = sockets_of(dialer).open
        monkeypatch.setattr(BasicHost, "new_stream", fails_once)
        link = await dialer.dial(bench.address("b"))
        assert failed
        assert await link.request(b"anew", timeout_ms=5_000) == b"anew"
        await until(lambda: old not in sockets_of(dialer).open, 5_000)
        await link.aclose()


async def cut_all(node: Libp2pTransport) -> None:
    """All its connections, as a network that goes away."""

    def cut() -> None:
        for stream in list(sockets_of(node).open):
            stream.close_now()

    await on_host(node, lambda _: cut())


async def test_a_peer_that_dies_in_silence_is_noticed() -> None:
    bench = LoopbackBench()
    dialer, acceptor = bench.libp2p("a"), bench.libp2p("b")
    async with acceptor.serving(Peer()), dialer.serving(Peer()):
        link = await dialer.dial(bench.address("b"))
        for node in (dialer, acceptor):
            (stream,) = sockets_of(node).open
            sock = stream._stream.socket
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            idle, every, times = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle + every * times <= SILENT_S
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENT_S * 1_000
        await link.aclose()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_over_ipv6() -> None:
    node = Libp2pTransport(Libp2pSettings(host="::1"))
    dialer = Libp2pTransport(Libp2pSettings(host="127.0.0.1"))
    async with node.serving(Peer()), dialer.serving(Peer()):
        assert node.address.startswith("/ip6/::1/tcp/")
        link = await dialer.dial(node.address)
        assert await link.request(b"six", timeout_ms=5_000) == b"six"
        await link.aclose()
