"""The air and each node in processes of their own, as a demonstration runs them."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.contract.transport_contract import Peer, look
from tests.transports.ble.process import process
from transports.ble.settings import BleSettings
from transports.ble.transport import BleTransport
from transports.errors import LinkLost

pytestmark = pytest.mark.processes

OURS, THEIRS = "F0:00:00:00:00:01", "F0:00:00:00:00:02"
WITHIN_MS = 5_000


async def test_nodes_meet_trade_frames_and_die(tmp_path: Path) -> None:
    place = f"unix:{tmp_path / 'air'}"
    async with process("transports.ble.virtual.air", place, "--control", f"unix:{tmp_path / 'orders'}") as (air, said):
        assert said == f"air {place} unix:{tmp_path / 'orders'}"
        dialer = BleTransport(BleSettings(air=place, address=OURS))
        async with dialer.serving(Peer()):
            assert dialer.address == OURS
            for _ in range(2):
                async with process("tests.transports.ble.echo", place, THEIRS) as (node, said):
                    assert said == "serving"
                    assert [sighting.address for sighting in await look(dialer, 500)] == [THEIRS]
                    link = await dialer.dial(f"ble:{THEIRS}")
                    frame = os.urandom(400)
                    assert await link.request(frame, timeout_ms=WITHIN_MS) == frame
                    held = asyncio.create_task(link.request(b"hold", timeout_ms=60_000))
                    assert await link.request(b"beside", timeout_ms=WITHIN_MS) == b"beside"
                    node.send_signal(signal.SIGKILL)
                    async with asyncio.timeout(WITHIN_MS / 1000):
                        with pytest.raises(LinkLost):
                            await held
                    await link.aclose()
        air.terminate()
        assert await air.wait() == 0
