"""The CoAP bearer as a whole, on loopback."""

import socket

import pytest

from tests.contract.transport_contract import Bench, Peer, TransportContract, open_descriptors
from tests.transports.coap.bench import QUICK, LoopbackBench, Stranger, core, post, serving
from transports.coap import CoapSettings, InvalidAddress, PortTaken
from transports.coap.datagrams import has_ipv6
from transports.coap.settings import IPV4_GROUP
from transports.errors import LocalTransportError


class TestCoapTransport(TransportContract):
    silence_ms = 300
    window_ms = 400

    @pytest.fixture
    def bench(self) -> Bench:
        return LoopbackBench()


async def test_dialling_needs_a_numeric_address_that_the_served_family_reaches(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as node:
        for text in ("nowhere", "car.local:5701", "127.0.0.1"):
            with pytest.raises(InvalidAddress):
                await node.transport.dial(text)
        with pytest.raises(LocalTransportError, match="IPv6"):
            await node.transport.dial("[2001:db8::7]:5701")


async def test_outside_of_serving_nothing_works_and_says_so(bench: LoopbackBench) -> None:
    transport = bench.coap("a")
    with pytest.raises(LocalTransportError, match="not serving"):
        await transport.dial("127.0.0.1:5701")
    with pytest.raises(LocalTransportError, match="not serving"):
        _ = transport.address
    async with transport.serving(Peer()):
        assert transport.address == bench.address("a")
        with pytest.raises(LocalTransportError, match="already"):
            async with transport.serving(Peer()):
                pytest.fail("served twice at once")
        assert transport.address == bench.address("a")


async def test_a_taken_port_is_told_and_nothing_stays_open(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")):
        before = open_descriptors()
        with pytest.raises(PortTaken):
            async with bench.coap("a").serving(Peer()):
                pytest.fail("shared a port")
        assert open_descriptors() == before


async def test_a_hogged_discovery_port_is_told_and_nothing_stays_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hog:
        hog.bind(("", 0))
        before = open_descriptors()
        with pytest.raises(PortTaken):
            async with serving(CoapSettings(loopback=True, discovery_port=hog.getsockname()[1])):
                pytest.fail("served unseen")
        assert open_descriptors() == before


async def test_the_counters_are_the_sockets(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")) as node:
        with Stranger() as stranger:
            stranger.send(post(1, bytes(700)), node.port)
            await stranger.hears()
            stranger.send(b"\xff\xff\xff", node.port)
            stranger.send(core(2), bench.discovery_port, IPV4_GROUP)
            await stranger.hears()
            counted = node.transport.counters()
            assert counted == {"bytes_sent": stranger.bytes_received, "bytes_received": stranger.bytes_sent}


async def test_on_every_address_both_families_reach_it(bench: LoopbackBench) -> None:
    everywhere = CoapSettings(groups=(), pace=QUICK)
    async with serving(everywhere) as acceptor, serving(everywhere) as dialer:
        for host in ("127.0.0.1", *(["[::1]"] if has_ipv6() else [])):
            link = await dialer.transport.dial(f"{host}:{acceptor.port}")
            assert await link.request(b"by any way", timeout_ms=2_000) == b"by any way"
            await link.aclose()


async def test_an_error_in_the_body_passes_unchanged_and_closes_everything(bench: LoopbackBench) -> None:
    before = open_descriptors()
    with pytest.raises(ZeroDivisionError):
        async with serving(bench.settings("a")):
            raise ZeroDivisionError
    assert open_descriptors() == before
