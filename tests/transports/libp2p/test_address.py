"""Addresses of peers."""

import pytest

from transports.libp2p.address import InvalidAddress, PeerAddress, parse_address

PEER_ID = "12D3KooWGRUA2NcVZ3bqWjjSiAWAkjFzjMZVmsFuLGGGoYxV1zoX"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER_ID}", "192.0.2.7", 4001),
        (f"/ip6/2001:db8::7/tcp/65535/p2p/{PEER_ID}", "2001:db8::7", 65_535),
    ],
)
def test_good_ones(text: str, host: str, port: int) -> None:
    assert parse_address(text) == PeerAddress(host, port, PEER_ID)
    assert str(parse_address(text)) == text


def test_one_address_has_one_text() -> None:
    assert str(parse_address(f"/ip6/2001:DB8:0::7/tcp/1/p2p/{PEER_ID}")) == f"/ip6/2001:db8::7/tcp/1/p2p/{PEER_ID}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.7:4001",
        "/ip4/192.0.2.7/tcp/4001",
        f"/ip4/192.0.2.7/tcp/0/p2p/{PEER_ID}",
        f"/ip4/192.0.2.7/tcp/65536/p2p/{PEER_ID}",
        f"/ip4/192.0.2.256/tcp/4001/p2p/{PEER_ID}",
        f"/ip4/0.0.0.0/tcp/4001/p2p/{PEER_ID}",
        f"/ip4/224.0.0.1/tcp/4001/p2p/{PEER_ID}",
        f"/ip6/fe80::1/tcp/4001/p2p/{PEER_ID}",
        f"/ip6/:::/tcp/4001/p2p/{PEER_ID}",
        f"/ip4/192.0.2.7/udp/4001/quic-v1/p2p/{PEER_ID}",
        f"/dns4/car.example/tcp/4001/p2p/{PEER_ID}",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER_ID}/p2p-circuit",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER_ID}\n",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{'0OIl' * 13}",
        "/ip4/192.0.2.7/tcp/4001/p2p/" + "1" * 200,
    ],
)
def test_bad_ones(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(text)
