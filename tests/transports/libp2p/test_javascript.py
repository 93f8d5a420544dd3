"""A node that others wrote: js-libp2p, from npm, in a process of its own."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.transport_contract import Peer, look
from tests.transports.libp2p.bench import seed_of
from transports.interface import Announcement
from transports.libp2p.host import SIGHTING_PROTOCOL, TRADE_PROTOCOL
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.transport import Libp2pTransport

SOURCE = Path(__file__).parent / "js"
BUILT = Path(__file__).parents[3] / "build" / "libp2p-js"
"""Kept from run to run: made once for each lock file, which takes some seconds and the network."""
INSTALL_S, START_S = 100, 20


def unavailable(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"on CI the test with js-libp2p has to run, but {why}")
    pytest.skip(f"the test with js-libp2p did not run: {why}")


@pytest.fixture(scope="module")
def program() -> Path:
    """peer.js with its packages beside it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        unavailable("node and npm are not here")
    lock, installed = (SOURCE / "package-lock.json").read_bytes(), BUILT / "installed.json"
    if not installed.exists() or installed.read_bytes() != lock:
        shutil.rmtree(BUILT, ignore_errors=True)
        shutil.copytree(SOURCE, BUILT)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=BUILT, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            unavailable("npm ci takes too long")
        if done.returncode:
            unavailable(f"npm ci failed: {done.stderr[-300:]}")
        installed.write_bytes(lock)
    shutil.copy(SOURCE / "peer.js", BUILT)
    return BUILT / "peer.js"


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
