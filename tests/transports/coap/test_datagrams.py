import asyncio
import socket

import pytest

from tests.transports.coap.bench import Stranger, free_port
from transports.coap.address import Peer, parse_address
from transports.coap.datagrams import (
    Counters,
    PortTaken,
    UdpSocket,
    Unreachable,
    has_ipv6,
    open_own,
    source_towards,
)
from transports.coap.packet import MAX_DATAGRAM_BYTES
from transports.coap.settings import CoapSettings
from transports.errors import LocalTransportError


def test_a_port_is_held_by_one_program_only() -> None:
    port = free_port()
    with open_own(CoapSettings(loopback=True, port=port)):
        with pytest.raises(PortTaken, match="choose another port"):
            open_own(CoapSettings(loopback=True, port=port))
        with pytest.raises(PortTaken):
            open_own(CoapSettings(port=port))


def test_a_port_that_others_share_among_themselves_is_taken_as_well() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sharer:
        sharer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharer.bind(("127.0.0.1", 0))
        with pytest.raises(PortTaken):
            open_own(CoapSettings(loopback=True, port=sharer.getsockname()[1]))


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(LocalTransportError, match=r"192\.0\.2\.77"):
        open_own(CoapSettings(host="192.0.2.77"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.3", *(["::1"] if has_ipv6() else [])])
async def test_on_every_address_the_answer_leaves_from_the_one_that_was_asked(host: str) -> None:
    counters, loop = Counters(), asyncio.get_running_loop()
    own = UdpSocket(open_own(CoapSettings()), counters)
    own.start(lambda datagram, peer, via: own.send(datagram, peer, via))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asker:
        asker.setblocking(False)
        asker.sendto(b"who?", (host, own.local.port))
        async with asyncio.timeout(2):
            answer, sender = await loop.sock_recvfrom(asker, 100)
    own.close()
    assert (answer, sender[0]) == (b"who?", host)
    assert counters == Counters(bytes_sent=4, bytes_received=4)


async def test_oversized_datagrams_are_dropped_and_counted() -> None:
    counters, heard = Counters(), asyncio.Queue[bytes]()
    own = UdpSocket(open_own(CoapSettings(loopback=True)), counters)
    own.start(lambda datagram, peer, via: heard.put_nowait(datagram))
    with Stranger() as stranger:
        stranger.send(bytes(MAX_DATAGRAM_BYTES + 1), own.local.port)
        stranger.send(bytes(60_000), own.local.port)
        stranger.send(bytes(MAX_DATAGRAM_BYTES), own.local.port)
        async with asyncio.timeout(2):
            assert len(await heard.get()) == MAX_DATAGRAM_BYTES
    assert heard.empty()
    own.close()
    own.close()


async def test_a_closed_socket_reaches_nobody() -> None:
    own = UdpSocket(open_own(CoapSettings(loopback=True)), Counters())
    own.close()
    with pytest.raises(Unreachable):
        own.send(b"x", Peer("127.0.0.1", 9))


async def test_what_the_system_refuses_is_unreachable() -> None:
    own = UdpSocket(open_own(CoapSettings(loopback=True)), Counters())
    with pytest.raises(Unreachable):
        own.send(b"x", Peer("255.255.255.255", 9))  # broadcast, which we never asked leave for
    own.close()


async def test_each_family_knows_whom_it_reaches() -> None:
    four = UdpSocket(open_own(CoapSettings(loopback=True)), Counters())
    every = UdpSocket(open_own(CoapSettings()), Counters())
    assert four.reaches(Peer("192.0.2.7", 1))
    assert not four.reaches(Peer("2001:db8::7", 1))
    assert every.reaches(Peer("192.0.2.7", 1))
    assert every.reaches(Peer("2001:db8::7", 1)) == has_ipv6()
    four.close()
    every.close()


def test_our_address_is_the_one_that_the_peer_sees() -> None:
    assert source_towards(parse_address("127.0.0.1:9")) == "127.0.0.1"
    assert source_towards(Peer("fe80::1", 9, 4_000)) is None
