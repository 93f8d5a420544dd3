import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping

import pytest

from market.units import ServiceBits
from transports.errors import LocalTransportError
from transports.identifier import make_identifier
from transports.interface import Announcement, Pusher, Sighting
from transports.memory import MemoryNetwork, MemoryTransport
from v2xnode.clock import real_clock
from v2xnode.config import Visibility
from v2xnode.discovery import ROLE_COORDINATOR, ROLE_PROVIDER, Discovery, Heard, in_fair_order
from v2xnode.events import EventLog
from v2xnode.identity import Identity

WINDOW_MS = 60
V2V = ServiceBits.V2V
CLOCK = real_clock()


class Mute:
    """A handler that answers nobody."""

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        return None

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes | None:
        return None


class Broken(MemoryTransport):
    """A radio that has gone away."""

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        raise LocalTransportError("no radio")
        yield


def looking(
    transport: MemoryTransport,
    *,
    seed: bytes = b"\x01" * 32,
    visibility: Visibility = Visibility.KNOWN,
    provides: ServiceBits = V2V,
    keys: Mapping[bytes, bytes] | None = None,
    events: EventLog | None = None,
) -> Discovery:
    async def resolving_keys() -> Mapping[bytes, bytes]:
        return keys or {}

    return Discovery(
        Identity.from_seed(seed),
        {"memory": transport},
        CLOCK,
        events or EventLog(CLOCK),
        visibility=visibility,
        provides=lambda: provides,
        resolving_keys=resolving_keys,
    )


async def seen(shown: Discovery, network: MemoryNetwork, keys: Mapping[bytes, bytes] | None = None) -> list[Heard]:
    """What another node sees of one that serves already."""
    other = network.transport("other")
    async with other.serving(Mute()):
        shown.announce()
        return await looking(other, seed=b"\x02" * 32, keys=keys).look(WINDOW_MS)


async def test_a_provider_is_heard_and_only_who_holds_its_key_knows_who_it_is() -> None:
    network = MemoryNetwork(1)
    transport = network.transport("car")
    identity = Identity.from_seed(b"\x01" * 32)
    async with transport.serving(Mute()):
        [stranger] = await seen(looking(transport), network)
        [friend] = await seen(
            looking(transport), network, {b"p" * 32: bytes(16), identity.public: identity.resolving_key}
        )
    assert (stranger.peer, stranger.provides) == (None, V2V)
    assert friend.peer == identity.public
    assert stranger.sighting.announcement.identifier != friend.sighting.announcement.identifier


@pytest.mark.parametrize(
    ("visibility", "provides", "roles"),
    [
        (Visibility.CLOSED, V2V, None),
        (Visibility.KNOWN, V2V, ROLE_PROVIDER),
        (Visibility.OPEN, ServiceBits(0), 0),
    ],
)
async def test_no_more_is_shown_than_the_owner_allows(
    visibility: Visibility, provides: ServiceBits, roles: int | None
) -> None:
    network = MemoryNetwork(1)
    transport = network.transport("car")
    async with transport.serving(Mute()):
        heard = await seen(looking(transport, visibility=visibility, provides=provides), network)
    assert [each.sighting.announcement.role_bits for each in heard] == ([] if roles is None else [roles])


async def test_a_bearer_that_fails_is_told_and_the_others_are_heard() -> None:
    events = EventLog(CLOCK)
    network = MemoryNetwork(1)
    assert await looking(Broken(network, "car"), events=events).look(WINDOW_MS) == []
    assert [event.data["code"] for event in events.since(0, "bearer_failed")] == ["transport_local"]


async def test_the_announcement_is_shown_at_once_and_ends_with_its_task() -> None:
    network = MemoryNetwork(1)
    transport = network.transport("car")
    task = asyncio.create_task(looking(transport).keep_announcing())
    await asyncio.sleep(0)
    assert transport._announcement is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_sighting_is_told_to_people_with_its_age() -> None:
    shown = Announcement(ROLE_PROVIDER | ROLE_COORDINATOR, int(V2V), make_identifier(bytes(16), b"ab"))
    told = Heard(Sighting("memory", "car", shown, 1_000), None).as_json(1_250)
    assert (told["age_ms"], told["provides"], told["coordinator"], told["peer"]) == (250, ["V2V"], True, None)


def test_services_of_a_node_that_is_no_provider_do_not_count() -> None:
    shown = Announcement(0, int(V2V), bytes(5))
    assert Heard(Sighting("memory", "car", shown, 0), None).provides == ServiceBits(0)


def at(address: str, peer: bytes | None = None, bearer: str = "coap") -> Heard:
    return Heard(Sighting(bearer, address, Announcement(1, 1, bytes(5)), 0), peer)


def test_nobody_crowds_out_an_honest_neighbour() -> None:
    forged = [at(f"192.0.2.1:{port}") for port in range(1_000, 1_064)]
    honest, friend = at("192.0.2.9:5701"), at("192.0.2.8:5701", b"p" * 32)
    for seed in range(50):
        ordered = in_fair_order([*forged, honest, friend], random.Random(seed).randbytes)
        assert ordered[0] == friend
        assert honest in ordered[1:3]
        assert len(ordered) == 66


def test_what_a_host_is_depends_on_the_bearer() -> None:
    one_site = [at(f"/ip4/192.0.2.1/tcp/{port}/p2p/12D3KooW{port}", bearer="libp2p") for port in range(1_000, 1_020)]
    radios = [at(f"C0:00:00:00:00:{last:02X}", bearer="ble") for last in range(20)]
    other_site = at("/ip4/192.0.2.9/tcp/4001/p2p/12D3KooWx", bearer="libp2p")
    for seed in range(20):
        ordered = in_fair_order([*one_site, other_site, *radios], random.Random(seed).randbytes)
        assert {heard.sighting.address for heard in ordered[:22]} >= {other_site.sighting.address, *_addresses(radios)}


def _addresses(heard: list[Heard]) -> set[str]:
    return {each.sighting.address for each in heard}


def test_the_order_among_strangers_is_by_lot() -> None:
    strangers = [at(f"192.0.2.{host}:5701") for host in range(20)]
    orders = {tuple(heard.sighting.address for heard in in_fair_order(strangers, os.urandom)) for _ in range(5)}
    assert len(orders) == 5
