"""The whole bearer over BlueZ's D-Bus, where bluetoothd and links go while it is in use."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.contract.transport_contract import Peer, badge
from tests.transports.ble.bluez.dialer import asked
from tests.transports.ble.bluez.host import ADDRESSES, Host
from transports.ble.bluez import peripheral as peripheral_module
from transports.ble.settings import BleSettings
from transports.ble.transport import BleTransport
from transports.errors import LinkLost, TransportError
from transports.interface import MAX_FRAME_BYTES, Link

ANSWER_MS = 5_000


@asynccontextmanager
async def pair(peer: Peer) -> AsyncIterator[BleTransport]:
    """The dialer, on hci1; the acceptor is on hci0."""
    acceptor, dialer = BleTransport(BleSettings(adapter="hci0")), BleTransport(BleSettings(adapter="hci1"))
    acceptor.announce(badge())
    async with acceptor.serving(peer), dialer.serving(Peer()):
        yield dialer


async def linked(dialer: BleTransport, within_ms: int = 20_000) -> Link:
    """Dialled again and again, as the node does."""
    async with asyncio.timeout(within_ms / 1000):
        while True:
            try:
                link = await dialer.dial(ADDRESSES[0])
                assert await link.request(b"there?", timeout_ms=1_000) == b"there?"
            except TransportError:
                await asyncio.sleep(0.05)
            else:
                return link


@pytest.mark.parametrize("mtu", [23, 185])
async def test_frames_in_small_packets(own_host: Host, mtu: int) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd("--mtu", str(mtu))
    async with pair(Peer()) as dialer:
        link = await linked(dialer)
        for size in (0, 1, mtu - 3, 400, MAX_FRAME_BYTES):
            frame = os.urandom(size)
            assert await link.request(frame, timeout_ms=ANSWER_MS) == frame
        async with asyncio.TaskGroup() as group:
            frames = [os.urandom(300) for _ in range(20)]
            answers = [group.create_task(link.request(frame, timeout_ms=ANSWER_MS)) for frame in frames]
        assert [answer.result() for answer in answers] == frames
        await link.aclose()


async def test_bluetoothd_restarts_in_the_middle_of_a_request(own_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peripheral_module, "RETRY_MS", (20, 50))
    own_host.start_bus()
    own_host.start_bluetoothd()
    peer = Peer()
    async with pair(peer) as dialer:
        link = await linked(dialer)
        held = asyncio.create_task(link.request(b"hold", timeout_ms=60_000))
        await peer.holding.wait()
        own_host.stop_bluetoothd()
        async with asyncio.timeout(ANSWER_MS / 1000):  # long before its deadline
            with pytest.raises(LinkLost):
                await held
        await link.aclose()
        own_host.start_bluetoothd()
        link = await linked(dialer)
        await link.aclose()


async def test_every_request_is_answered_or_fails_while_links_are_dropped(own_host: Host) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd()
    rng, peer, device = random.Random(4), Peer(), f"/org/bluez/hci1/dev_{ADDRESSES[0].replace(':', '_')}"
    answered = failed = 0
    async with pair(peer) as dialer:
        link = await linked(dialer)
        peer.heard.clear()
        for number in range(200):
            frame = number.to_bytes(4, "big") + rng.randbytes(396)
            dropping = None
            if rng.random() < 0.05:
                dropping = asyncio.create_task(asked("org.bluez", device, "org.bluez.Device1", "Disconnect", ""))
            try:
                assert await link.request(frame, timeout_ms=ANSWER_MS) == frame
                answered += 1
            except LinkLost:
                failed += 1
            if dropping is not None:
                await dropping
        await link.aclose()
    heard = Counter(frame[:4] for frame in peer.heard)
    assert answered + failed == 200
    assert answered > 150
    assert set(heard.values()) == {1}
    assert len(heard) >= answered
