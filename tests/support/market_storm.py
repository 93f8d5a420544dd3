"""The world of two delivery machines in a storm: nodes die and come back from their entries, ledgers fail, wall clocks
jump, paths break, owners interfere, all by one seed; from `HEALED_MS` on everything works, and what is left must end.

A side that comes back has its ledger and nothing else: its machine is made from `standing`, as a node does it. What is
not over in writing is taken up again every `AGAIN_MS`, also without a crash.
"""

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
    HeldEntry,
    OwnerLimit,
    OwnerPause,
    OwnerStop,
    PathEnded,
    Plugged,
    ProviderDelivery,
    Restart,
    Stage,
    Standing,
    Written,
    standing,
)
from market.errors import Reason
from market.machine import LinkLost, LinkResumed
from market.terms import EntryBody, Offer, PowerLimit
from market.units import Role
from tests.support.market_terms import CLIENT, PROVIDER, agreement, counted_nonces, digest, pair
from tests.support.market_world import Air, Packet, Side, World

HEALED_MS = 130_000
AGAIN_MS = 20_000
PERMIT_MS = 3_000
"""A device without a living driver opens by itself within this time."""
JUMPS_MS = (-86_400_000, -3_600_000, -1_500, 900, 61_000, 3_600_000, 86_400_000)
ENDED = (Stage.UNANSWERED, Stage.FINISHED)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to one side at one moment: `kind` names a method of the storm, `size` says how much of it."""

    at_ms: int
    kind: str
    by_client: bool
    size: int


TROUBLES = ("crash", "jump", "stop", "pause", "go_on", "limit", "break_path", "cut_channel", "fail_ledger")


@dataclass(slots=True)
class Watch:
    """What the storm has seen of one side."""

    own_limit_w: int
    peer_limit_w: int
    cut: bool = False
    after_cut: list[object] = field(default_factory=list)
    """Power or a path allowed after a CutPower: never."""
    above: list[tuple[int, int]] = field(default_factory=list)
    """Power that flowed, and the limit that it was above."""


class Storm(World):
    """`play` plays it to its end; the laws look at what both sides hold then."""

    def __init__(self, offered: Offer, troubles: list[Trouble], *, seed: int, air: Air, **how: Any) -> None:
        super().__init__(*pair(offered), seed=seed, air=air, **how)
        self.offered = offered
        self.ledger_fails = 0
        self.watches = {side.name: Watch(offered.power_w, offered.power_w) for side in self.sides}
        self._dice = random.Random(seed + 1)
        for side in self.sides:
            side.fails = partial(self._ledger_fails, side)
        self._broken_ledgers: dict[str, int] = {}
        self._over = False
        self.at(5, lambda: self.feed(self.client, Plugged()))
        for each in troubles:
            side = self.client if each.by_client else self.provider
            do: Callable[[Side, int], None] = getattr(self, each.kind)
            self.at(each.at_ms, partial(do, side, each.size))
        self.at(HEALED_MS, self._heal)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.provider, self.client

    def other(self, side: Side) -> Side:
        return self.client if side is self.provider else self.provider

    def play(self, until_ms: int) -> None:
        """Until both ledgers say that it is over, but no longer than this."""
        self.run(until_ms)

    @property
    def is_done(self) -> bool:
        return self._over

    def _heal(self) -> None:
        self.air = Air()
        self.cut.clear()
        self._broken_ledgers.clear()
        self.after(AGAIN_MS, self._take_up)

    # troubles

    def crash(self, side: Side, down_ms: int) -> None:
        """The node dies; its devices go on until their permits end."""
        if not side.alive:
            return
        side.alive = False
        side.walks += 1
        side.outbox = {key: each for key, each in side.outbox.items() if each.digest}
        self.after(PERMIT_MS, lambda: None if side.alive else _off(side))
        self.feed(self.other(side), LinkLost())
        self.after(1 + down_ms % 90_000, partial(self._come_back, side))

    def jump(self, side: Side, size: int) -> None:
        side.clock_ms += JUMPS_MS[size % len(JUMPS_MS)]

    def stop(self, side: Side, _: int) -> None:
        self._try(side, OwnerStop())

    def pause(self, side: Side, _: int) -> None:
        self._try(side, OwnerPause(True))

    def go_on(self, side: Side, _: int) -> None:
        self._try(side, OwnerPause(False))

    def limit(self, side: Side, size: int) -> None:
        power_w = 1_000 + size % 12_000
        if self._try(side, OwnerLimit(power_w)):
            self.watches[side.name].own_limit_w = min(power_w, self.offered.power_w)

    def break_path(self, side: Side, _: int) -> None:
        if side.prepared:
            _off(side)
            side.walks += 1
            self._try(side, PathEnded(Reason.POWER_FAULT))

    def cut_channel(self, side: Side, size: int) -> None:
        self.cut.add(side.name)
        self.after(size % 60_000, lambda: self.cut.discard(side.name))

    def fail_ledger(self, side: Side, size: int) -> None:
        """Its next one to three entries can't be appended."""
        self._broken_ledgers[side.name] = 1 + size % 3

    def _ledger_fails(self, side: Side, _: EntryBody) -> bool:
        left = self._broken_ledgers.get(side.name, 0)
        self._broken_ledgers[side.name] = max(0, left - 1)
        self.ledger_fails += left > 0
        return left > 0

    def _try(self, side: Side, event: object) -> bool:
        """An owner can press only what the page shows, and a dead node shows nothing."""
        legal = side.alive and (side.machine.state, type(event)) in side.machine.STEPS
        if legal:
            self.feed(side, event)
        return legal

    # coming back

    def stands(self, side: Side) -> Standing:
        """By its entries alone, each once."""
        role = Role.PROVIDER if side is self.provider else Role.CLIENT
        once = dict.fromkeys((each, each_digest) for each, each_digest in side.entries)
        held = [HeldEntry(message, its, its in side.own) for message, its in once]
        return standing(role, self.offered, held)

    def _come_back(self, side: Side) -> None:
        side.alive = True
        self._reopen(side)
        self.feed(self.other(side), LinkResumed())

    def _reopen(self, side: Side) -> None:
        stands = self.stands(side)
        side.machine = self._machine(side, stands)
        side.finished.clear()
        if stands.written is not Written.END and not stands.account.receipts:
            side.outbox.clear()  # it is voided, and nothing before that matters
        self.feed(side, Restart(stands.reason or Reason.SHUTDOWN, stands.written))
        if stands.their_close is not None:
            self.feed(side, stands.their_close)

    def _machine(self, side: Side, stands: Standing) -> ProviderDelivery | ClientDelivery:
        peer = CLIENT if side is self.provider else PROVIDER
        terms = agreement(self.offered, peer, answers=stands.answers or digest("before"))
        if side is self.provider:
            return ProviderDelivery(terms, now_ms=self.now_ms, account=stands.account)
        return ClientDelivery(terms, counted_nonces(), now_ms=self.now_ms, account=stands.account)

    def _take_up(self) -> None:
        for side in self.sides:
            if side.alive and side.machine.state in ENDED and self.stands(side).written is not Written.END:
                self._reopen(side)
        self._over = all(side.alive and self.stands(side).written is Written.END for side in self.sides)
        self.after(AGAIN_MS, self._take_up)

    # watching

    def _flow(self, to_ms: int) -> None:
        power_w = self.power_w
        for watch in self.watches.values():
            limit_w = min(watch.own_limit_w, watch.peer_limit_w, self.offered.power_w)
            if power_w > limit_w and to_ms > self.now_ms:
                watch.above.append((power_w, limit_w))
        super()._flow(to_ms)

    def _do(self, side: Side, effect: object) -> bool:
        watch = self.watches[side.name]
        if watch.cut and isinstance(effect, AllowPower | BeginPath):
            watch.after_cut.append(effect)
        watch.cut |= isinstance(effect, CutPower)
        return super()._do(side, effect)

    def _arrive(self, sender: Side, other: Side, packet: Packet) -> None:
        super()._arrive(sender, other, packet)
        message = packet.message
        if isinstance(message, PowerLimit) and other.alive and other.machine.counters.heard == message.seq:
            watch = self.watches[other.name]
            watch.peer_limit_w = min(watch.peer_limit_w, message.power_max_w)


def _off(side: Side) -> None:
    side.allowed_w, side.prepared = 0, False
