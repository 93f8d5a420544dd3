"""The two event loops beside each other."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from transports.errors import LinkLost
from transports.libp2p.bridge import Bridge


async def idle(started: Callable[[None], None]) -> None:
    started(None)
    await trio.sleep_forever()


@asynccontextmanager
async def bridged() -> AsyncIterator[Bridge]:
    bridge, threads = Bridge(), threading.active_count()
    await bridge.start(idle)
    try:
        yield bridge
    finally:
        await bridge.stop()
    assert threading.active_count() == threads


class Fault(Exception):
    pass


async def test_results_and_errors_cross() -> None:
    async def where() -> str:
        await trio.lowlevel.checkpoint()
        return threading.current_thread().name

    async def fail() -> None:
        raise Fault("over there")

    async with bridged() as bridge:
        assert await bridge.call(where) == "libp2p"
        with pytest.raises(Fault, match="over there"):
            await bridge.call(fail)
        assert await bridge.call(where) == "libp2p"


async def test_cancelling_here_cancels_there_and_waits_for_it() -> None:
    began, cleaned = asyncio.Event(), []

    async with bridged() as bridge:

        async def slow() -> None:
            bridge.to_asyncio(began.set)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope() as scope:
                    scope.shield = True
                    await trio.sleep(0.05)
                cleaned.append(True)

        calling = asyncio.create_task(bridge.call(slow))
        await began.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert cleaned


async def test_stopping_tells_those_who_wait() -> None:
    began = asyncio.Event()
    bridge = Bridge()
    await bridge.start(idle)

    async def slow() -> None:
        bridge.to_asyncio(began.set)
        await trio.sleep_forever()

    calling = asyncio.create_task(bridge.call(slow))
    await began.wait()
    await bridge.stop()
    await bridge.stop()
    with pytest.raises(LinkLost):
        await calling
    with pytest.raises(LinkLost):
        await bridge.call(slow)
    assert not bridge.to_trio(print)
    assert await bridge.ended() is None


async def test_what_fails_before_it_is_ready_is_told_as_it_is() -> None:
    async def fail(started: Callable[[None], None]) -> None:
        async with trio.open_nursery():
            raise Fault

    threads = threading.active_count()
    bridge = Bridge()
    with pytest.raises(Fault):
        await bridge.start(fail)
    await bridge.stop()
    assert threading.active_count() == threads


async def test_what_dies_right_after_it_was_ready_has_said_what_it_had_to_say() -> None:
    async def die(started: Callable[[int], None]) -> None:
        started(4001)
        raise Fault

    bridge = Bridge()
    assert await bridge.start(die) == 4001
    problem = await bridge.ended()
    assert isinstance(problem, ExceptionGroup)
    assert problem.subgroup(Fault) is not None
    await bridge.stop()


async def test_giving_up_the_start_leaves_nothing() -> None:
    async def never_ready(started: Callable[[None], None]) -> None:
        await trio.sleep_forever()

    threads = threading.active_count()
    bridge = Bridge()
    starting = asyncio.create_task(bridge.start(never_ready))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert threading.active_count() == threads


async def test_an_error_of_what_was_spawned_ends_the_run() -> None:
    async def fail() -> None:
        raise Fault

    bridge = Bridge()
    await bridge.start(idle)
    bridge.to_trio(bridge.spawn, fail)
    problem = await bridge.ended()
    assert isinstance(problem, ExceptionGroup)
    assert problem.subgroup(Fault) is not None
    await bridge.stop()
