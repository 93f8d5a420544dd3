"""A node that others wrote: js-libp2p, from npm, in a process of its own."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.transport_contract import Peer, look
from tests.support.npm import installed
from tests.transports.libp2p.bench import seed_of
from transports.interface import Announcement
from transports.libp2p.host import SIGHTING_PROTOCOL, TRADE_PROTOCOL
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.transport import Libp2pTransport

SOURCE = Path(__file__).parent / "js"
START_S = 20


@pytest.fixture(scope="module")
def program() -> Path:
    """peer.js with its packages beside it."""
    return installed(SOURCE, "libp2p-js", "the test with js-libp2p") / "peer.js"


@contextlib.asynccontextmanager
async def running(program: Path, address: str) -> AsyncIterator[dict[str, Any]]:
    """The peer, which dialled `address`, and all that it said before it waits."""
    pipe = asyncio.subprocess.PIPE
    peer = await asyncio.create_subprocess_exec(
        "node", program.name, address, cwd=program.parent, stdin=pipe, stdout=pipe
    )
    assert peer.stdin is not None
    assert peer.stdout is not None
    said: dict[str, Any] = {}
    try:
        async with asyncio.timeout(START_S):
            while "opening" not in said and (line := await peer.stdout.readline()):
                said |= json.loads(line)
        yield said
        peer.stdin.close()
        async with asyncio.timeout(START_S):
            assert await peer.wait() == 0
    finally:
        if peer.returncode is None:
            peer.kill()
            await peer.wait()


async def test_javascript_connects_identifies_pings_and_gets_answers(program: Path) -> None:
    handler = Peer()
    site = Libp2pTransport(Libp2pSettings(host="127.0.0.1", seed=seed_of("site")))
    async with site.serving(handler), running(program, site.address) as said:
        assert said["peer"] == site.address.rpartition("/")[2]
        assert (said["encryption"], said["multiplexer"]) == ("/noise", "/yamux/1.0.0")
        assert {TRADE_PROTOCOL, SIGHTING_PROTOCOL, "/ipfs/ping/1.0.0"} <= set(said["protocols"])
        assert said["ping_ms"] >= 0
        assert bytes.fromhex(said["answer"]) == b"\x04\x01from javascript"
        assert said["large"] == 2 + 4096
        assert bytes.fromhex(said["opening"]) == b"\x05\x03opened status"
        assert handler.heard == [b"from javascript", b"x" * 4096]


async def test_we_see_javascript(program: Path) -> None:
    site = Libp2pTransport(Libp2pSettings(host="127.0.0.1", seed=seed_of("site")))
    async with site.serving(Peer()), running(program, site.address) as said:
        vehicle = Libp2pTransport(Libp2pSettings(host="127.0.0.1", bootstrap=(said["address"],)))
        async with vehicle.serving(Peer()):
            (sighting,) = await look(vehicle, 5_000)
        assert sighting.address == said["address"]
        assert sighting.announcement == Announcement(role_bits=9, service_bits=5, identifier=b"\x01\x02\x03\x04\x05")
