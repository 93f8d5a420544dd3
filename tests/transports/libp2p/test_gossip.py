"""Notices in a microgrid: checked first, bounded, and only from those who may."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.contract.transport_contract import Peer, open_descriptors
from tests.transports.libp2p.bench import LoopbackBench, kill
from tests.transports.libp2p.hostile import attacking
from transports.errors import FrameTooLarge, LocalTransportError
from transports.libp2p import host as host_module
from transports.libp2p import lives as lives_module
from transports.libp2p.gossip import (
    MAX_NOTICE_BYTES,
    MAX_PUBLISHING,
    MAX_WAITING,
    NEIGHBOUR_BURST,
    NEIGHBOUR_REFILL_MS,
    PROTOCOLS,
    Notices,
)
from transports.libp2p.library import BaseLibp2pError, PubsubMessage, PubsubRpc
from transports.libp2p.settings import Libp2pSettings
from transports.libp2p.transport import Libp2pTransport

SIGNED = b"signed: "


def is_signed(notice: bytes) -> bool:
    return notice.startswith(SIGNED)


class Village:
    """`b` is known to `a` and `c`, who do not know each other."""

    def __init__(self) -> None:
        self._bench = LoopbackBench()
        self._stack = AsyncExitStack()

    async def node(self, name: str) -> Libp2pTransport:
        known = () if name == "b" else (self._bench.address("b"),)
        settings = dataclasses.replace(self._bench.settings(name), microgrid="village", bootstrap=known)
        transport = Libp2pTransport(settings)
        await self._stack.enter_async_context(transport.serving(Peer()))
        return transport

    async def member(self, name: str) -> Notices:
        return await self._stack.enter_async_context((await self.node(name)).notices(is_signed))

    async def aclose(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def village() -> AsyncIterator[Village]:
    threads, descriptors = threading.active_count(), open_descriptors()
    place = Village()
    try:
        yield place
    finally:
        await place.aclose()
    assert (threading.active_count(), open_descriptors()) == (threads, descriptors)


async def heard(notices: Notices) -> bytes:
    async with asyncio.timeout(10):
        return await anext(notices)


async def said_until_heard(sayer: Notices, notice: bytes, *hearers: Notices) -> None:
    """The mesh grows for some heartbeats; what is said before it has grown may be lost."""
    waiting = {asyncio.create_task(heard(hearer)) for hearer in hearers}
    async with asyncio.timeout(20):
        number = 0
        while waiting:
            await sayer.publish(notice + b" %d" % number)
            done, waiting = await asyncio.wait(waiting, timeout=0.2)
            assert all(task.result().startswith(notice) for task in done)
            number += 1


async def test_a_notice_reaches_those_who_do_not_know_its_sayer() -> None:
    async with village() as place:
        b, a, c = [await place.member(name) for name in "bac"]
        await said_until_heard(a, SIGNED + b"the street is closed", b, c)


async def test_what_is_not_signed_goes_nowhere() -> None:
    async with village() as place:
        b, a, c = [await place.member(name) for name in "bac"]
        await said_until_heard(a, SIGNED + b"hello", b, c)
        await a.publish(b"forged")
        await a.publish(SIGNED + b"goodbye")
        for member in (b, c):
            async with asyncio.timeout(10):
                async for notice in member:
                    assert is_signed(notice)
                    if notice == SIGNED + b"goodbye":
                        break


async def test_nobody_passes_on_what_nobody_checks() -> None:
    async with village() as place:
        hub, a, c = await place.node("b"), await place.member("a"), await place.member("c")
        waiting = asyncio.create_task(anext(c))
        for number in range(8):
            await a.publish(SIGNED + b"%d" % number)
        assert not waiting.done()
        async with hub.notices(is_signed) as b:
            await said_until_heard(a, SIGNED, b)
            async with asyncio.timeout(10):
                assert is_signed(await waiting)


async def test_the_gossip_goes_on_when_its_middle_died_and_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives_module, "FIRST_RESTART_MS", 20)
    monkeypatch.setattr(host_module, "KEEP_S", 0.2)
    async with village() as place:
        hub = await place.node("b")
        async with hub.notices(is_signed) as b:
            a, c = await place.member("a"), await place.member("c")
            await said_until_heard(a, SIGNED + b"before", b, c)
            kill(hub)
            await said_until_heard(a, SIGNED, b, c)
            await said_until_heard(c, SIGNED, a)


async def test_notices_are_paced_and_bounded() -> None:
    async with village() as place:
        a = await place.member("a")
        with pytest.raises(FrameTooLarge):
            await a.publish(bytes(MAX_NOTICE_BYTES + 1))
        began_s = asyncio.get_running_loop().time()
        for number in range(6):
            await a.publish(SIGNED + b"%d" % number)
        assert asyncio.get_running_loop().time() - began_s > 0.9
        publishing = [asyncio.create_task(a.publish(SIGNED)) for _ in range(MAX_PUBLISHING + 1)]
        done, waiting = await asyncio.wait(publishing, return_when=asyncio.FIRST_COMPLETED)
        assert any(isinstance(task.exception(), LocalTransportError) for task in done)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*publishing, return_exceptions=True)


async def test_what_is_not_taken_gives_way_to_the_newer() -> None:
    async def nowhere(_: bytes) -> None: ...

    notices = Notices(is_signed, nowhere)
    for number in range(2 * MAX_WAITING):
        notices.arrive(b"%d" % number)
    notices.close()
    assert [notice async for notice in notices] == [b"%d" % number for number in range(MAX_WAITING, 2 * MAX_WAITING)]


async def test_vehicles_and_nodes_without_a_microgrid_take_no_part() -> None:
    for settings in (Libp2pSettings(host="127.0.0.1", microgrid="village"), LoopbackBench().settings("a")):
        transport = Libp2pTransport(settings)
        async with transport.serving(Peer()):
            with pytest.raises(LocalTransportError, match="does not gossip"):
                async with transport.notices(is_signed):
                    pytest.fail("took part")
            async with attacking(transport.address) as prober:
                for protocol in PROTOCOLS:
                    with pytest.raises(BaseLibp2pError):
                        await prober.do(lambda protocol=protocol: prober.stream(protocol))  # type: ignore[misc]


async def test_a_flood_from_a_neighbour(caplog: pytest.LogCaptureFixture) -> None:
    """Each notice is as good as signed, and says something new."""
    checked = 0

    def count(notice: bytes) -> bool:
        nonlocal checked
        checked += 1
        return False

    async with village() as place:
        hub = await place.node("b")
        began_s = asyncio.get_running_loop().time()
        async with hub.notices(count):
            async with attacking(hub.address) as attacker:

                async def flood() -> None:
                    stream = await attacker.stream(PROTOCOLS[0])
                    with contextlib.suppress(BaseLibp2pError):
                        for number in range(100):
                            await stream.write(rpc(20, number))
                        await stream.write(b"\xff\xff\xff\x7f")
                        while await stream.read(1_000):
                            pass

                with contextlib.suppress(EOFError):
                    await attacker.do(flood)
            took_ms = (asyncio.get_running_loop().time() - began_s) * 1_000
            assert NEIGHBOUR_BURST <= checked <= NEIGHBOUR_BURST + took_ms / NEIGHBOUR_REFILL_MS + 1
            a = await place.member("a")
            await a.publish(SIGNED)


def rpc(messages: int, number: int) -> bytes:
    """Notices of nobody, each unlike all others, as gossipsub carries them."""
    packet = PubsubRpc(
        publish=[
            PubsubMessage(
                from_id=b"\0", seqno=b"%d-%d" % (number, index), data=SIGNED, topicIDs=["/v2x/village/notices"]
            )
            for index in range(messages)
        ]
    ).SerializeToString()
    return bytes([len(packet) & 0x7F | 0x80, len(packet) >> 7]) + packet
