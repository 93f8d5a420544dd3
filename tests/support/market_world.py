"""A small world for the delivery machines: two drivers, a lossy channel, and a plant that two unequal meters measure.

Everything is seeded and runs in simulated time, so that a failing run can be run again. The drivers do what a real
one has to: entries are recorded before they are sent, stored and repeated until acknowledged; control is repeated for
a while; pushes are sent once. The channel loses, delays (and so reorders) and repeats.
"""

import hashlib
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from market.delivery import (
    AllowPower,
    BeginPath,
    ClientDelivery,
    CutPower,
    Finished,
    PathEnded,
    PathPrepared,
    ProviderDelivery,
    PushStatus,
    Reading,
    Redial,
    SuspendPath,
)
from market.machine import Append, LedgerFailed, LinkResumed, Received, Recorded, Repeat, Tell, Tick, stamped
from market.terms import Alive, EntryBody, Message
from market.units import MS_PER_HOUR, PPM

WALL_MS = 1_700_000_000_000
PREPARE_MS = 1_500
OFF_MS = 400
READ_MS = 500
RESEND_MS = 700
TELL_TRIES = 12
STEP_MS = 1_000
FULL = 1000
"""Thousandths: the channel's chances are given in them."""


@dataclass(frozen=True, slots=True)
class Air:
    """What the channel does, chances in permille, delays in ms."""

    loss: int = 0
    repeat: int = 0
    delay_low_ms: int = 10
    delay_high_ms: int = 60


@dataclass(slots=True)
class Packet:
    message: Message
    digest: bytes
    answers: bytes
    tries: int
    id: int


@dataclass(slots=True)
class Side:
    """One driver: its machine, path, meter and outbox."""

    name: str
    machine: ProviderDelivery | ClientDelivery
    meter_ppm: int
    clock_ms: int = 0
    opening_wh: int = 0
    prepared: bool = False
    walks: int = 0
    allowed_w: int = 0
    outbox: dict[int, Packet] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    stored: dict[bytes, Packet] = field(default_factory=dict)
    effects: list[object] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    entries: list[tuple[EntryBody, bytes]] = field(default_factory=list)
    own: set[bytes] = field(default_factory=set)
    alive: bool = True
    fails: Callable[[EntryBody], bool] = lambda _: False

    def of(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.effects if isinstance(each, kind)]

    def said(self, kind: type[Any]) -> list[Any]:
        """Messages of one type that its machine asked for."""
        carried = [each for each in self.effects if isinstance(each, Append | Tell)]
        return [each.message for each in carried if isinstance(each.message, kind)]


class World:
    """Plays a provider and a client against each other until both are done."""

    def __init__(
        self, provider: ProviderDelivery, client: ClientDelivery, *, seed: int = 0, air: Air | None = None,
        provider_ppm: int = 0, client_ppm: int = 0, client_clock_ms: int = 0, draw_w: int = 11_000,
        read_ms: int = READ_MS, follow_ms: int = 0,
    ) -> None:  # fmt: skip
        self.random = random.Random(seed)
        self.air = air or Air()
        self.now_ms = 0
        self.draw_w = draw_w
        self.follow_ms = follow_ms
        self.provider = Side("provider", provider, provider_ppm, opening_wh=5_000)
        self.client = Side("client", client, client_ppm, client_clock_ms, opening_wh=70_000)
        self.cut: set[str] = set()
        self.worst_exposure_wh = 0
        self.power_before_receipt = False
        self._energy = 0  # in W ms
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._every(read_ms, lambda: self._read(self.provider))
        self._every(read_ms, lambda: self._read(self.client))
        self._every(RESEND_MS, lambda: self._resend(self.provider))
        self._every(RESEND_MS, lambda: self._resend(self.client))

    # time

    def at(self, at_ms: int, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_ms, next(self._count), do))

    def after(self, wait_ms: int, do: Callable[[], None]) -> None:
        self.at(self.now_ms + wait_ms, do)

    def _every(self, period_ms: int, do: Callable[[], None]) -> None:
        def again() -> None:
            do()
            self.after(period_ms, again)

        self.after(self.random.randrange(1, period_ms), again)

    def run(self, until_ms: int, *, stop_when_done: bool = True) -> None:
        """Play until the time, or until both have finished with an answer."""
        while self.now_ms < until_ms and not (stop_when_done and self.is_done):
            step_ms = min([self.now_ms + STEP_MS, *([self._due[0][0]] if self._due else []), *self._deadlines()])
            self._flow(max(step_ms, self.now_ms))
            for side in (self.provider, self.client):
                deadline_ms = side.machine.deadline_ms() if side.alive else None
                if deadline_ms is not None and deadline_ms <= self.now_ms:
                    self.feed(side, Tick())
            while self._due and self._due[0][0] <= self.now_ms:
                heapq.heappop(self._due)[2]()

    def _deadlines(self) -> list[int]:
        deadlines = (side.machine.deadline_ms() for side in (self.provider, self.client) if side.alive)
        return [each for each in deadlines if each is not None]

    @property
    def is_done(self) -> bool:
        return all(side.finished and side.finished[-1].answered for side in (self.provider, self.client))

    # the plant

    @property
    def power_w(self) -> int:
        joined = self.provider.prepared and self.client.prepared
        return min(self.provider.allowed_w, self.client.allowed_w, self.draw_w) if joined else 0

    def _flow(self, to_ms: int) -> None:
        self._energy += self.power_w * (to_ms - self.now_ms)
        self.now_ms = to_ms
        account = self.provider.machine.account
        self.power_before_receipt |= self.power_w > 0 and account.receipts == 0
        if account.last is not None:
            exposed_wh = self.register_wh(self.provider) - account.last.register_wh
            self.worst_exposure_wh = max(self.worst_exposure_wh, exposed_wh)

    def register_wh(self, side: Side) -> int:
        return side.opening_wh + self._energy * (PPM + side.meter_ppm) // (PPM * MS_PER_HOUR)

    def _read(self, side: Side) -> None:
        at_ms = WALL_MS + self.now_ms + side.clock_ms
        self.feed(side, Reading(at_ms, self.register_wh(side), self.power_w))

    # the drivers

    def feed(self, side: Side, event: object) -> None:
        if not side.alive:
            return
        for effect in side.machine.handle(event, self.now_ms):
            side.effects.append(effect)
            if not self._do(side, effect):
                break  # what stood behind a failed append is left undone

    def _do(self, side: Side, effect: object) -> bool:
        match effect:
            case BeginPath():
                walk = side.walks
                self.after(PREPARE_MS, lambda: self._prepare(side, walk))
            case AllowPower(power_w):
                self._follow(partial(_allow, side, power_w))
            case SuspendPath() | CutPower():
                side.walks += 1
                self._follow(partial(_open, side))
                self.after(max(OFF_MS, self.follow_ms), lambda: self.feed(side, PathEnded()))
            case Append():
                return self._append(side, effect)
            case Tell(message):
                self._send(side, message, tries=3 if isinstance(message, Alive) else TELL_TRIES)
            case PushStatus(status):
                self._send(side, status, tries=1)
            case Repeat(digest) if digest in side.stored:
                kept = side.stored[digest]
                self._send(side, kept.message, kept.digest, kept.answers)
            case Finished():
                side.finished.append(effect)
            case Redial():
                self.after(300, lambda: self.feed(side, LinkResumed()))
            case _:
                pass
        return True

    def _follow(self, do: Callable[[], None]) -> None:
        """What a device does only a while after it was asked."""
        if self.follow_ms:
            self.after(self.follow_ms, do)
        else:
            do()

    def _prepare(self, side: Side, walk: int) -> None:
        if side.walks == walk:  # the path was not opened meanwhile
            side.prepared = True
            self.feed(side, PathPrepared())

    def _append(self, side: Side, effect: Append) -> bool:
        if side.fails(effect.message):
            self.feed(side, LedgerFailed())
            return False
        message = stamped(effect.message, WALL_MS + self.now_ms)
        digest = hashlib.sha256(repr((side.name, len(side.entries), message, effect.answers)).encode()).digest()
        side.entries.append((message, digest))
        side.own.add(digest)
        side.stored[effect.answers] = self._send(side, message, digest, effect.answers, tries=10**6)
        self.feed(side, Recorded(effect.message, digest))
        return True

    def _send(
        self, side: Side, message: Message, digest: bytes = b"", answers: bytes = b"", tries: int = TELL_TRIES
    ) -> Packet:
        packet = Packet(message, digest, answers, tries, next(self._count))
        side.outbox[packet.id] = packet
        self._transmit(side, packet)
        return packet

    def _resend(self, side: Side) -> None:
        if not side.alive:
            return
        for packet in list(side.outbox.values()):
            self._transmit(side, packet)

    def _transmit(self, side: Side, packet: Packet) -> None:
        packet.tries -= 1
        if packet.tries <= 0:
            side.outbox.pop(packet.id, None)
        other = self.client if side is self.provider else self.provider
        self._fly(side, lambda: self._arrive(side, other, packet))

    def _fly(self, side: Side, land: Callable[[], None]) -> None:
        copies = 1 + (self.random.randrange(FULL) < self.air.repeat)
        for _ in range(copies):
            if self.random.randrange(FULL) >= self.air.loss and side.name not in self.cut:
                self.after(self.random.randint(self.air.delay_low_ms, self.air.delay_high_ms), land)

    def _acknowledged(self, sender: Side, packet: Packet) -> None:
        sender.outbox.pop(packet.id, None)

    def _arrive(self, sender: Side, other: Side, packet: Packet) -> None:
        if not other.alive:
            return
        self._fly(other, lambda: self._acknowledged(sender, packet))
        if packet.digest and packet.id not in other.seen:
            other.entries.append((packet.message, packet.digest))  # type: ignore[arg-type]
        elif not packet.digest and packet.id in other.seen:
            return  # the link's replay window
        other.seen.add(packet.id)
        self.feed(other, Received(packet.message, packet.digest, packet.answers))


def _allow(side: Side, power_w: int) -> None:
    side.allowed_w = power_w


def _open(side: Side) -> None:
    side.allowed_w, side.prepared = 0, False
