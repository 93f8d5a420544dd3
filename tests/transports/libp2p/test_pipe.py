"""A stream as a pipe."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
import trio

from transports.errors import LinkLost
from transports.libp2p import pipe as module
from transports.libp2p.bridge import Bridge
from transports.libp2p.library import INetStream
from transports.libp2p.pipe import AHEAD, StreamPipe


class StuckStream:
    """Of a peer whose window stays full, and who says nothing."""

    def __init__(self) -> None:
        self.reset_by_us = False

    async def write(self, data: bytes) -> None:
        await trio.sleep_forever()

    async def read(self, n: int | None = None) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def reset(self) -> None:
        self.reset_by_us = True
        await trio.lowlevel.checkpoint()


async def test_who_takes_nothing_is_lost_and_senders_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_S", 0.2)
    stream, bridge = StuckStream(), Bridge()

    async def idle(started: Callable[[None], None]) -> None:
        started(None)
        await trio.sleep_forever()

    await bridge.start(idle)
    pipe = StreamPipe(bridge, "somebody")
    bridge.to_trio(bridge.spawn, pipe.carry, cast(INetStream, stream), lambda: None)
    async with asyncio.timeout(5):
        for _ in range(AHEAD):
            await pipe.send(b"not taken")
        with pytest.raises(LinkLost, match="took nothing"):
            await pipe.send(b"one more than may wait")
        with pytest.raises(LinkLost, match="took nothing"):
            await pipe.receive()
        await pipe.aclose()
    await bridge.stop()
    assert stream.reset_by_us
