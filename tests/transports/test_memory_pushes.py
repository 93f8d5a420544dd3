"""Both ends of a subscription: the newest state, and who left."""

import asyncio

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from transports.errors import FrameTooLarge
from transports.interface import MAX_FRAME_BYTES
from transports.memory_packets import MAX_BACKOFF, Kind
from transports.memory_pushes import MAX_TRIES, MemoryPusher, Subscription

loop_factory = VirtualTimeLoop


class _Wire:
    """Records what a pusher sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[Kind, bytes, int]] = []
        self.forgotten = 0
        self.pusher = MemoryPusher(self._send, self._forget, repeat_s=1)

    def _send(self, kind: Kind, frame: bytes, sequence: int) -> None:
        self.sent.append((kind, frame, sequence))

    def _forget(self) -> None:
        self.forgotten += 1


async def test_the_opening_comes_before_a_push_that_overtook_it() -> None:
    subscription = Subscription()
    subscription.take(b"state", 1)
    subscription.open(b"")
    assert await anext(subscription) == b""
    assert await anext(subscription) == b"state"


async def test_older_states_and_duplicates_are_dropped() -> None:
    subscription = Subscription()
    for frame, sequence in ((b"1", 1), (b"3", 3), (b"2", 2), (b"3", 3)):
        subscription.take(frame, sequence)
    assert await anext(subscription) == b"3"
    subscription.end()
    subscription.take(b"4", 4)
    assert [frame async for frame in subscription] == []


async def test_an_empty_state_is_a_state() -> None:
    subscription = Subscription()
    subscription.take(b"", 1)
    assert await anext(subscription) == b""


async def test_an_unconfirmed_push_is_sent_once() -> None:
    wire = _Wire()
    wire.pusher.push(b"state", confirmed=False)
    await asyncio.sleep(100)
    assert wire.sent == [(Kind.PUSH, b"state", 1)]
    assert not wire.pusher.closed


async def test_a_confirmed_push_is_repeated_until_acknowledged() -> None:
    wire = _Wire()
    wire.pusher.push(b"state", confirmed=True)
    await asyncio.sleep(3.5)
    assert wire.sent == [(Kind.CONFIRMED_PUSH, b"state", 1)] * 3
    wire.pusher.acknowledged(1)
    await asyncio.sleep(100)
    assert len(wire.sent) == 3
    assert not wire.pusher.closed


async def test_repetitions_carry_the_newest_state() -> None:
    wire = _Wire()
    wire.pusher.push(b"older", confirmed=True)
    wire.pusher.push(b"newer", confirmed=False)
    await asyncio.sleep(1.5)
    assert wire.sent[-1] == (Kind.CONFIRMED_PUSH, b"newer", 2)
    wire.pusher.acknowledged(2)
    await asyncio.sleep(100)
    assert len(wire.sent) == 3


async def test_an_older_acknowledgement_does_not_confirm_a_newer_state() -> None:
    wire = _Wire()
    wire.pusher.push(b"older", confirmed=True)
    wire.pusher.push(b"newer", confirmed=True)
    wire.pusher.acknowledged(1)
    await asyncio.sleep(1.5)
    assert wire.sent[-1] == (Kind.CONFIRMED_PUSH, b"newer", 2)
    wire.pusher.gone()


async def test_a_dialer_that_never_acknowledges_has_left() -> None:
    wire = _Wire()
    wire.pusher.push(b"state", confirmed=True)
    await asyncio.sleep(MAX_BACKOFF * (MAX_TRIES + 1))
    assert wire.pusher.closed
    assert wire.forgotten == 1
    assert len(wire.sent) == 1 + MAX_TRIES
    wire.pusher.push(b"nobody", confirmed=True)
    wire.pusher.close()
    assert len(wire.sent) == 1 + MAX_TRIES


async def test_the_end_is_repeated_until_the_dialer_has_left() -> None:
    wire = _Wire()
    wire.pusher.close()
    wire.pusher.close()
    wire.pusher.push(b"too late", confirmed=False)
    wire.pusher.acknowledged(9)
    await asyncio.sleep(1.5)
    assert wire.sent == [(Kind.END, b"", 0)] * 2
    wire.pusher.gone()
    await asyncio.sleep(100)
    assert len(wire.sent) == 2
    assert wire.pusher.closed


async def test_a_state_too_large_is_refused_and_the_last_one_stays() -> None:
    wire = _Wire()
    with pytest.raises(FrameTooLarge):
        wire.pusher.push(bytes(MAX_FRAME_BYTES + 1), confirmed=False)
    assert wire.sent == []
