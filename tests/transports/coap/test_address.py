import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.coap.address import InvalidAddress, Peer, parse_address
from transports.errors import LocalTransportError

LO = socket.if_nametoindex("lo")


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("127.0.0.1:5701", Peer("127.0.0.1", 5701)),
        ("coap://192.0.2.7:5701", Peer("192.0.2.7", 5701)),
        ("coap://192.0.2.7:5701/t", Peer("192.0.2.7", 5701)),
        ("[2001:DB8::0:7]:1", Peer("2001:db8::7", 1)),
        ("[fe80::1%lo]:5701", Peer("fe80::1", 5701, LO)),
        ("coap://[fe80::1%25lo]:5701/", Peer("fe80::1", 5701, LO)),
        ("[fe80::1%7]:5701", Peer("fe80::1", 5701, 7)),
        ("[::ffff:192.0.2.7]:5701", Peer("192.0.2.7", 5701)),
    ],
)
def test_what_people_type_names_a_peer(text: str, peer: Peer) -> None:
    assert parse_address(text) == peer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:５",
        "127.0.0.1:5701 ",
        "256.0.0.1:5701",
        "2001:db8::7:5701",
        "[2001:db8::7]",
        "[127.0.0.1%lo]:5701",
        "[2001:db8::7%lo]:5701",
        "[fe80::1]:5701",
        "[fe80::1%no-such-interface]:5701",
        "224.0.1.187:5701",
        "[ff02::fd]:5701",
        "[::ffff:224.0.1.187]:5701",
        "[::ffff:0.0.0.0]:5701",
        "0.0.0.0:5701",
        "255.255.255.255:5701",
        "coaps://192.0.2.7:5701",
        "http://192.0.2.7:5701",
        "coap://192.0.2.7:5701/other",
        "car.local:5701",
        "1" * 10_000,
    ],
)
def test_what_names_no_peer_is_explained(text: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        parse_address(text)
    assert isinstance(refused.value, LocalTransportError)
    assert str(refused.value)


@given(st.text(max_size=200))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        parse_address(text)
    except InvalidAddress:
        return


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_an_address_means_the_same_when_it_is_read_again(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    if isinstance(host, ipaddress.IPv6Address):
        host = host.ipv4_mapped or host
    if host.is_multicast or host.is_unspecified or str(host) == "255.255.255.255":
        return
    scope = LO if host.version == 6 and host.is_link_local else 0
    peer = Peer(str(host), port, scope)
    assert parse_address(str(peer)) == peer


@pytest.mark.parametrize("peer", [Peer("192.0.2.7", 5701), Peer("2001:db8::7", 5701), Peer("fe80::1", 5701, 3)])
def test_sockets_get_and_give_the_same_peer(peer: Peer) -> None:
    assert Peer.of(peer.sockaddr(socket.AF_INET6)) == peer
