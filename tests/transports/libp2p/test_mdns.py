"""Peers found by multicast DNS."""

import asyncio
import dataclasses
import threading
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncZeroconf

from tests.contract.transport_contract import Peer, badge, look, open_descriptors
from tests.transports.libp2p.bench import LoopbackBench
from transports.libp2p import mdns as mdns_module
from transports.libp2p import vicinity as vicinity_module
from transports.libp2p.address import PeerAddress
from transports.libp2p.mdns import MAX_ADDRESSES, MAX_NAMES, SERVICE, Surroundings, addresses_in, looking, own_hosts
from transports.libp2p.transport import Libp2pTransport
from transports.libp2p.vicinity import Vicinity

PEER_ID = "12D3KooWGRUA2NcVZ3bqWjjSiAWAkjFzjMZVmsFuLGGGoYxV1zoX"


def strangers(bench: LoopbackBench, name: str) -> Libp2pTransport:
    """A node that was told of nobody."""
    return Libp2pTransport(dataclasses.replace(bench.settings(name), bootstrap=(), mdns=True))


async def test_two_that_were_told_of_nobody_find_each_other_and_are_silent_when_they_want() -> None:
    bench = LoopbackBench()
    threads, descriptors, tasks = threading.active_count(), open_descriptors(), asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        here, there = strangers(bench, "a"), strangers(bench, "b")
        shown = badge()
        await stack.enter_async_context(there.serving(Peer()))
        await stack.enter_async_context(here.serving(Peer()))
        assert shown not in {sighting.announcement for sighting in await look(here, 500)}
        there.announce(shown)
        sighting = None
        async with asyncio.timeout(20):
            while sighting is None:
                seen = await look(here, 2_000)
                sighting = next((one for one in seen if one.announcement == shown), None)
        assert sighting.address == bench.address("b")
        link = await here.dial(sighting.address)
        assert await link.request(b"found", timeout_ms=5_000) == b"found"
        await link.aclose()
        there.announce(None)
        assert shown not in {one.announcement for one in await look(here, 500)}
    assert asyncio.all_tasks() <= tasks
    assert (threading.active_count(), open_descriptors()) == (threads, descriptors)


def record(*strings: bytes) -> bytes:
    return b"".join(bytes([len(string)]) + string for string in strings)


def test_the_addresses_that_we_can_dial_are_taken() -> None:
    good = f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER_ID}"
    text = record(
        b"dnsaddr=/ip4/192.0.2.7/udp/4001/quic-v1/p2p/" + PEER_ID.encode(),
        b"DNSADDR=" + good.encode(),
        b"dnsaddr\xff=\xff",
        b"",
        b"other=" + good.encode(),
        b"dnsaddr2=" + good.replace("4001", "4002").encode(),
    )
    assert list(addresses_in(text)) == [PeerAddress("192.0.2.7", port, PEER_ID) for port in (4001, 4002)]


def test_a_record_has_some_addresses_and_no_more() -> None:
    one = b"dnsaddr=" + f"/ip4/192.0.2.7/tcp/1/p2p/{PEER_ID}".encode()
    assert len(list(addresses_in(record(*[one] * 50)))) == MAX_ADDRESSES


@given(st.binary(max_size=2_000))
def test_any_bytes_may_be_a_record(text: bytes) -> None:
    list(addresses_in(text))


async def test_names_are_bounded_and_the_oldest_goes() -> None:
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    surroundings = Surroundings(zeroconf, [])
    try:
        for number in range(3 * MAX_NAMES):
            surroundings.heard(zeroconf.zeroconf, SERVICE, f"{number}.{SERVICE}", ServiceStateChange.Added)
        assert list(surroundings._names) == [f"{number}.{SERVICE}" for number in range(2 * MAX_NAMES, 3 * MAX_NAMES)]
        surroundings.heard(zeroconf.zeroconf, SERVICE, f"{3 * MAX_NAMES - 1}.{SERVICE}", ServiceStateChange.Removed)
        assert len(surroundings._names) == MAX_NAMES - 1
    finally:
        await surroundings.aclose()
        await zeroconf.async_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.7", "::1"])
def test_one_who_listens_on_one_address_is_reached_there(host: str) -> None:
    assert own_hosts(host) == [host]


def test_one_who_listens_everywhere_is_reached_somewhere() -> None:
    assert all("." in host and host != "0.0.0.0" for host in own_hosts("0.0.0.0"))
    assert own_hosts("0.0.0.0")


def at(port: int) -> list[PeerAddress]:
    return [PeerAddress("127.0.0.1", port, PEER_ID)]


async def test_names_of_nobody_hide_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns_module, "RESOLVE_MS", 60_000)
    async with looking(at(4001)) as here, looking(at(4002)) as there:
        assert here is not None
        assert there is not None
        for number in range(5):
            here.heard(here._zeroconf.zeroconf, SERVICE, f"nobody{number}.{SERVICE}", ServiceStateChange.Added)
        there.show(True)
        async with asyncio.timeout(15):
            async for address in here.peers():
                if address in at(4002):
                    break


async def test_when_the_networks_change_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vicinity_module, "RENEW_S", 0.01)
    own = [at(4001)]
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    vicinity = Vicinity(lambda: own[0])
    vicinity.show(True)
    await vicinity.start()
    first = vicinity._surroundings
    await vicinity.renew()
    assert vicinity._surroundings is first
    own[0] = at(4002)
    async with asyncio.timeout(10), looking(at(4003)) as other:
        assert other is not None
        async for address in other.peers():
            if address in at(4002):
                break
    assert vicinity._surroundings is not first
    await vicinity.aclose()
    assert asyncio.all_tasks() <= tasks
    assert open_descriptors() == descriptors
