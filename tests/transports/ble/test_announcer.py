"""When what we show changes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.contract.transport_contract import badge
from tests.support.virtual_time import VirtualTimeLoop
from transports.ble.announcer import AGAIN_MS, Announcer
from transports.ble.peripheral import Arrived
from transports.errors import LocalTransportError
from transports.identifier import pack_announcement
from transports.interface import IDENTIFIER_BYTES, Announcement

loop_factory = VirtualTimeLoop


class Board:
    """A `Peripheral` that only remembers what it was told to show."""

    def __init__(self) -> None:
        self.shown: list[bytes | None] = []
        self.broken = False
        self.asked = 0

    @asynccontextmanager
    async def serving(self, arrived: Arrived) -> AsyncIterator[None]:
        yield

    async def advertise(self, data: bytes | None) -> None:
        self.asked += 1
        if self.broken:
            raise LocalTransportError("no room for another advertisement")
        self.shown.append(data)


class Bench:
    def __init__(self) -> None:
        self.board = Board()
        self.linked = False
        self.announcer = Announcer(self.board, lambda: self.linked)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    running = asyncio.create_task(made.announcer.run())
    yield made
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_newest_is_shown_and_none_is_silence(bench: Bench) -> None:
    first, second = badge(), badge()
    bench.announcer.want(first)
    await settle()
    bench.announcer.want(badge())
    bench.announcer.want(second)
    await settle()
    bench.announcer.want(None)
    await settle()
    assert bench.board.shown == [pack_announcement(first), pack_announcement(second), None]


async def test_the_same_again_is_not_shown_again(bench: Bench) -> None:
    shown = badge()
    for _ in range(3):
        bench.announcer.want(shown)
        await settle()
    assert len(bench.board.shown) == 1


async def test_a_new_identifier_waits_for_the_last_link_to_end(bench: Bench) -> None:
    older, newer = badge(), badge()
    bench.announcer.want(older)
    await settle()
    bench.linked = True
    bench.announcer.want(newer)
    await settle()
    assert bench.board.shown == [pack_announcement(older)]
    bench.linked = False
    bench.announcer.links_changed()
    await settle()
    assert bench.board.shown == [pack_announcement(older), pack_announcement(newer)]


@pytest.mark.parametrize("change", ["silence", "bits"])
async def test_silence_and_other_bits_wait_for_nothing(bench: Bench, change: str) -> None:
    bench.announcer.want(badge())
    await settle()
    bench.linked = True
    newer = None if change == "silence" else Announcement(2, 5, bytes(IDENTIFIER_BYTES))
    bench.announcer.want(newer)
    await settle()
    assert bench.board.shown[-1] == (None if newer is None else pack_announcement(newer))


async def test_a_link_does_not_keep_the_first_announcement_back(bench: Bench) -> None:
    bench.linked = True
    bench.announcer.want(badge())
    await settle()
    assert len(bench.board.shown) == 1


async def test_a_radio_that_refuses_is_told_of_once_and_asked_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.board.broken = True
    bench.announcer.want(badge())
    with caplog.at_level(logging.WARNING):
        await asyncio.sleep(3 * AGAIN_MS / 1000 + 1)
    assert bench.board.asked == 4
    assert len(caplog.records) == 1
    bench.board.broken = False
    await asyncio.sleep(AGAIN_MS / 1000)
    assert len(bench.board.shown) == 1


async def test_what_we_showed_a_while_ago_is_ours(bench: Bench) -> None:
    older, newer = badge(), badge()
    for announcement in (older, newer):
        bench.announcer.want(announcement)
        await settle()
    assert bench.announcer.is_ours(older)
    assert bench.announcer.is_ours(newer)
    assert not bench.announcer.is_ours(badge())
