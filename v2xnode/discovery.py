"""Who is in reach: looking around on every bearer, and what this node shows of itself.

What is shown is an `Announcement` and no more. Its identifier changes at every start and every quarter of an hour;
peers to whom we gave our resolving key can still tell that it is us, and dial with IK.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from market.units import ServiceBits
from transports.errors import TransportError
from transports.identifier import ROTATION_MS, make_identifier, resolves
from transports.interface import Announcement, Sighting, Transport
from v2xnode.clock import Clock
from v2xnode.config import Visibility
from v2xnode.entropy import Entropy
from v2xnode.events import EventLog
from v2xnode.identity import Identity

LOT_BYTES = 8
ROLE_PROVIDER = 1
ROLE_COORDINATOR = 2
LOOK_MS = 1_000
"""Real time of one look around: two multicast rounds with the answers' leisure (CoAP), several advertisements (BLE)."""

ResolvingKeys = Callable[[], Awaitable[Mapping[bytes, bytes]]]
"""Known peers and the keys that resolve their identifiers."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A sighting, and whose it is where we hold the key that resolves it."""

    sighting: Sighting
    peer: bytes | None

    @property
    def provides(self) -> ServiceBits:
        shown = self.sighting.announcement
        return ServiceBits(shown.service_bits) if shown.role_bits & ROLE_PROVIDER else ServiceBits(0)

    def as_json(self, now_ms: int) -> dict[str, Any]:
        """For people and programs; the age is in real milliseconds."""
        shown = self.sighting.announcement
        return {
            "bearer": self.sighting.bearer,
            "address": self.sighting.address,
            "identifier": shown.identifier.hex(),
            "peer": self.peer.hex() if self.peer else None,
            "provides": [bit.name for bit in self.provides],
            "coordinator": bool(shown.role_bits & ROLE_COORDINATOR),
            "age_ms": max(0, now_ms - self.sighting.heard_at_ms),
            "signal_dbm": self.sighting.signal_dbm,
        }


class Discovery:
    """Looks around, and keeps this node's own announcement fresh."""

    def __init__(
        self,
        identity: Identity,
        transports: Mapping[str, Transport],
        clock: Clock,
        events: EventLog,
        *,
        visibility: Visibility,
        provides: Callable[[], ServiceBits],
        resolving_keys: ResolvingKeys,
    ) -> None:
        self._identity = identity
        self._transports = transports
        self._clock = clock
        self._events = events
        self._visibility = visibility
        self._provides = provides
        self._resolving_keys = resolving_keys

    def announce(self) -> None:
        """Show a fresh identifier with the services of the moment, or nothing when the owner keeps closed."""
        shown = None
        if self._visibility is not Visibility.CLOSED:
            bits = self._provides()
            identifier = make_identifier(self._identity.resolving_key, self._identity.entropy(2))
            shown = Announcement(ROLE_PROVIDER if bits else 0, int(bits), identifier)
        for transport in self._transports.values():
            transport.announce(shown)

    async def keep_announcing(self) -> None:
        """Rotate the identifier for ever; a task of the node."""
        while True:
            self.announce()
            await asyncio.sleep(ROTATION_MS / 1000)

    async def look(self, window_ms: int = LOOK_MS) -> list[Heard]:
        """One look around on all bearers."""
        return await look_around(self._transports.values(), window_ms, await self._resolving_keys(), self._events)


async def look_around(
    transports: Iterable[Transport], window_ms: int, keys: Mapping[bytes, bytes], events: EventLog
) -> list[Heard]:
    """On all bearers at once: the newest sighting of each address, by bearer and address. A bearer that can't look is
    told and leaves the others alone."""
    found: dict[tuple[str, str], Heard] = {}

    async def look_on(transport: Transport) -> None:
        try:
            async for sighting in transport.discover(window_ms=window_ms):
                peer = _whose(sighting.announcement.identifier, keys)
                found[sighting.bearer, sighting.address] = Heard(sighting, peer)
        except TransportError as problem:
            events.tell("bearer_failed", bearer=transport.name, code=problem.code, sentence=str(problem))

    async with asyncio.TaskGroup() as group:
        for transport in transports:
            group.create_task(look_on(transport))
    return sorted(found.values(), key=lambda heard: (heard.sighting.bearer, heard.sighting.address))


def in_fair_order(found: Iterable[Heard], entropy: Entropy) -> list[Heard]:
    """Known peers first; then one of each host, by lot, then a second of each: only some are asked, and nobody may
    crowd them out with made-up ones that he names as he likes."""
    by_lot = sorted(found, key=lambda _: entropy(LOT_BYTES))
    counted: Counter[tuple[str, str]] = Counter()
    ranked: list[tuple[bool, int, Heard]] = []
    for heard in by_lot:
        host = _host_of(heard.sighting)
        ranked.append((heard.peer is None, counted[host], heard))
        counted[host] += 1
    return [heard for _, _, heard in sorted(ranked, key=lambda each: each[:2])]


def _host_of(sighting: Sighting) -> tuple[str, str]:
    """Bearer and host of an address: what is left without the port of CoAP's `host:port` and libp2p's
    `/ip4/host/tcp/port/p2p/id`. A radio's address is a host."""
    address = sighting.address
    if address.startswith("/"):
        return sighting.bearer, "/".join(address.split("/")[:3])
    return sighting.bearer, address if sighting.bearer == "ble" else address.rpartition(":")[0]


def _whose(identifier: bytes, keys: Mapping[bytes, bytes]) -> bytes | None:
    return next((peer for peer, key in keys.items() if resolves(key, identifier)), None)
