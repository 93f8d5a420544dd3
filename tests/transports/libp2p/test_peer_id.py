"""A node's key and its peer id."""

import pytest

from tests.transports.libp2p.bench import seed_of
from transports.keys import NodeKeys
from transports.libp2p.address import parse_address, peer_id
from transports.libp2p.host import peer_id_of


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_ours_is_the_librarys(name: str) -> None:
    ours = peer_id(NodeKeys.from_seed(seed_of(name)).public)
    assert ours == peer_id_of(seed_of(name))
    assert parse_address(f"/ip4/192.0.2.7/tcp/4001/p2p/{ours}").peer_id == ours
