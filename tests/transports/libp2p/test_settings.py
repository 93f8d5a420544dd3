"""The settings of the libp2p bearer."""

from typing import Any

import pytest

from transports.libp2p.settings import InvalidSettings, Libp2pSettings

GOOD = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWGRUA2NcVZ3bqWjjSiAWAkjFzjMZVmsFuLGGGoYxV1zoX"


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65_536},
        {"seed": b"short"},
        {"host": "localhost"},
        {"host": "224.0.0.1"},
        {"bootstrap": ("192.0.2.7:4001",)},
        {"bootstrap": (GOOD,) * 33},
        {"microgrid": ""},
        {"microgrid": "a/b"},
        {"microgrid": "a" * 64},
    ],
)
def test_wrong_ones(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings):
        Libp2pSettings(**wrong)


def test_a_vehicle_with_a_random_key_does_not_gossip() -> None:
    assert Libp2pSettings(microgrid="harbour").topic is None
    assert Libp2pSettings(microgrid="harbour", seed=bytes(32)).topic == "/v2x/harbour/notices"
    assert Libp2pSettings(seed=bytes(32)).topic is None


def test_the_seed_is_not_shown() -> None:
    assert "seed" not in repr(Libp2pSettings(seed=bytes(32)))
