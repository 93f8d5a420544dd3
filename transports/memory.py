"""A bearer without a radio: nodes of one process in one seeded, lossy network.

The same seed and the same calls on a loop of virtual time give the same run, packet for packet; nothing else is random
here. It serves tests, simulations and `--transport memory`.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from transports.errors import LinkLost, LocalTransportError
from transports.framing import Fragmenter, Reassembler
from transports.interface import MAX_SIGHTINGS, Announcement, Handler, Link, Sighting
from transports.memory_endpoint import Endpoint, MemoryLink
from transports.memory_packets import BEARER, Kind, Packet

LOOK_EVERY_S = 0.25
"""A look around repeats its question, since questions and answers may get lost."""

REPEAT_MIN_S = 0.05
"""Never repeat sooner than this, however fast the network: the handler needs some time too."""

LARGE_FRAME_BYTES = 400
"""The largest that a set-up's two sides exchange, when it has to be guessed how long an answer takes on a slow link."""

OVERTAKEN = 3
"""A packet that is reordered takes so many times the longest delay more."""


class MemoryNetwork:
    """The air between the transports of one process.

    loss, duplicate and reorder are chances in a thousand for each packet; delay_ms: shortest and longest, one way;
    rate_bps: what a node can send to another, where a packet waits until those before it are out (None: no limit); mtu:
    split frames into packets of that many bytes at most, each of which may get lost. bearer: what its transports are
    called; networks of other names are other bearers.
    """

    def __init__(
        self,
        seed: int,
        *,
        loss_permille: int = 0,
        duplicate_permille: int = 0,
        reorder_permille: int = 0,
        delay_ms: tuple[int, int] = (1, 5),
        rate_bps: int | None = None,
        mtu: int | None = None,
        bearer: str = BEARER,
    ) -> None:
        if not 0 <= delay_ms[0] <= delay_ms[1]:
            raise ValueError("delay_ms is a shortest and a longest delay")
        if rate_bps is not None and rate_bps < 1:
            raise ValueError("rate_bps is at least 1")
        self.bearer = bearer
        self._random = random.Random(seed)  # noqa: S311 - chance to be repeated, not to be kept secret
        self._loss_permille = loss_permille
        self._duplicate_permille = duplicate_permille
        self._reorder_permille = reorder_permille
        self._delay_ms = delay_ms
        self._rate_bps = rate_bps
        self._free_at_s: dict[tuple[str, str], float] = {}
        self._mtu = mtu
        self._serving: dict[str, MemoryTransport] = {}
        self._cuts: set[frozenset[str]] = set()
        self._exchanges = itertools.count(1)
        self._fragmenters: dict[tuple[str, str], Fragmenter] = {}
        self._reassemblers: dict[tuple[str, str], Reassembler] = {}

    def transport(self, name: str) -> "MemoryTransport":
        """A transport with the address `name`, not yet serving."""
        return MemoryTransport(self, name)

    def partition(self, a: str, b: str) -> None:
        """From now on nothing passes between the two, not even what is under way."""
        self._cuts.add(frozenset((a, b)))

    def heal(self, a: str, b: str) -> None:
        """Undo `partition`."""
        self._cuts.discard(frozenset((a, b)))

    @property
    def repeat_s(self) -> float:
        """The longest way of a large frame there and back, and half as much again."""
        sending_s = 0.0 if self._rate_bps is None else LARGE_FRAME_BYTES * 8 / self._rate_bps
        return max(REPEAT_MIN_S, 3 * (self._delay_ms[1] / 1000 + sending_s))

    def number(self) -> int:
        """A number for an exchange that none in this network had before, whichever life of a node asks."""
        return next(self._exchanges)

    def enter(self, transport: "MemoryTransport") -> None:
        """Raises LocalTransportError when the address is taken."""
        if transport.address in self._serving:
            raise LocalTransportError(f"a node serves {transport.address!r} already: stop it, or take another name")
        self._serving[transport.address] = transport

    def leave(self, transport: "MemoryTransport") -> None:
        del self._serving[transport.address]

    def carry(self, target: str | None, packet: Packet) -> None:
        """Put a packet into the air, to `target` or to all others."""
        others = [name for name in self._serving if name != packet.sender]
        for name in others if target is None else [target]:
            for part in self._split(name, packet):
                self._carry_part(name, part)

    def _split(self, target: str, packet: Packet) -> list[Packet]:
        if self._mtu is None:
            return [packet]
        way = packet.sender, target
        fragmenter = self._fragmenters.setdefault(way, Fragmenter(self._mtu))
        return [replace(packet, body=fragment) for fragment in fragmenter.split(packet.body)]

    def _carry_part(self, target: str, packet: Packet) -> None:
        sender = self._serving.get(packet.sender)
        if sender is not None:
            sender.count_sent(len(packet.body))
        cut, out_s = self._is_cut(packet.sender, target), self._out_s(packet, target)
        for _ in range(2 if self._happens(self._duplicate_permille) else 1):
            delay_ms = self._random.randint(*self._delay_ms)
            if self._happens(self._reorder_permille):
                delay_ms += OVERTAKEN * max(1, self._delay_ms[1])
            if not self._happens(self._loss_permille) and not cut:
                asyncio.get_running_loop().call_later(out_s + delay_ms / 1000, self._arrive, target, packet)

    def _out_s(self, packet: Packet, target: str) -> float:
        """How long from now until the packet has left its sender; a lost one takes as long."""
        if self._rate_bps is None:
            return 0.0
        way, now_s = (packet.sender, target), asyncio.get_running_loop().time()
        self._free_at_s[way] = max(now_s, self._free_at_s.get(way, 0.0)) + len(packet.body) * 8 / self._rate_bps
        return self._free_at_s[way] - now_s

    def _is_cut(self, a: str, b: str) -> bool:
        return frozenset((a, b)) in self._cuts

    def _happens(self, permille: int) -> bool:
        return self._random.randrange(1000) < permille

    def _arrive(self, target: str, packet: Packet) -> None:
        receiver = self._serving.get(target)
        if receiver is None or self._is_cut(packet.sender, target):
            return
        receiver.count_received(len(packet.body))
        whole = self._join(target, packet)
        if whole is not None:
            receiver.receive(whole)

    def _join(self, target: str, packet: Packet) -> Packet | None:
        if self._mtu is None:
            return packet
        reassembler = self._reassemblers.setdefault((packet.sender, target), Reassembler())
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        body = reassembler.receive(packet.body, now_ms)
        return None if body is None else replace(packet, body=body)


class MemoryTransport:
    """One node's place in a `MemoryNetwork`; its address is its name there. Implements `transports.interface`."""

    def __init__(self, network: MemoryNetwork, address: str) -> None:
        self.address = address
        self._network = network
        self._endpoint: Endpoint | None = None
        self._announcement: Announcement | None = None
        self._bytes_sent = 0
        self._bytes_received = 0

    @property
    def name(self) -> str:
        return self._network.bearer

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncGenerator[None]:
        network = self._network
        network.enter(self)
        endpoint = Endpoint(self.name, self.address, handler, network.carry, repeat_s=network.repeat_s)
        endpoint.announcement = self._announcement
        self._endpoint = endpoint
        try:
            yield
        finally:
            self._endpoint = None
            try:
                await endpoint.stop()
            finally:
                network.leave(self)

    def announce(self, announcement: Announcement | None) -> None:
        self._announcement = announcement
        if self._endpoint is not None:
            self._endpoint.announcement = announcement

    async def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        endpoint, loop = self._served(), asyncio.get_running_loop()
        number = self._network.number()
        queue = endpoint.looking[number] = asyncio.Queue(MAX_SIGHTINGS)
        end_s = loop.time() + window_ms / 1000
        ask_s, yielded = loop.time(), 0
        try:
            while endpoint.alive and yielded < MAX_SIGHTINGS and loop.time() < end_s:
                if loop.time() >= ask_s:
                    endpoint.send(None, Kind.LOOK, number)
                    ask_s += LOOK_EVERY_S
                try:
                    async with asyncio.timeout_at(min(ask_s, end_s)):
                        sighting = await queue.get()
                except TimeoutError:
                    continue
                yielded += 1
                yield sighting
        finally:
            del endpoint.looking[number]

    async def dial(self, address: str) -> Link:
        if address == self.address:
            raise LinkLost("a node does not dial itself")
        return MemoryLink(self._served(), address, self._network.number)

    def counters(self) -> dict[str, int]:
        return {"bytes_sent": self._bytes_sent, "bytes_received": self._bytes_received}

    def count_sent(self, size: int) -> None:
        self._bytes_sent += size

    def count_received(self, size: int) -> None:
        self._bytes_received += size

    def receive(self, packet: Packet) -> None:
        """A packet arrived from the air."""
        if self._endpoint is not None:
            self._endpoint.receive(packet)

    def _served(self) -> Endpoint:
        if self._endpoint is None:
            raise LocalTransportError("this bearer is not open: enter `serving` first")
        return self._endpoint
