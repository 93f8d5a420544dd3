"""A session's way to power: what the delivery machine wants of the path, and what the path's news mean to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from market.delivery import OwnerLimit, OwnPlug, PathEnded, PathPrepared, Reading
from market.errors import Reason
from market.terms import Plug, PowerState
from market.units import Role
from v2xnode.devices.interface import PATTERN_BITS
from v2xnode.entropy import Entropy, draw_below
from v2xnode.events import EventLog
from v2xnode.metering import (
    Metered,
    News,
    PathDerated,
    PathEnding,
    PathFailed,
    PathOff,
    PathReached,
    PlugTold,
    PowerPath,
)
from v2xnode.power.events import Begin, Milestone, Pause, PeerPlug, PlugReport, PowerAllowed, Recover, Resume, SetPower
from v2xnode.power.profiles import direction_of

WRONG_PLUG = "wrong_plug"
ENDINGS = {
    "peer_ended": Reason.STOPPED_BY_PEER,
    "supply_ended": Reason.STOPPED_BY_PEER,
    "pause_expired": Reason.PAUSE_EXPIRED,
}
"""Why the interlock ends by itself without a fault, in the market's words."""


@dataclass(slots=True)
class Walk:
    """One session's use of one connector. `started` is told when the interlock begins.

    recovers: the session began before the node went down, so that to cut its power is to look at the devices first.
    """

    request_id: bytes
    path: PowerPath
    begin: Begin
    power_max_w: int
    events: EventLog
    entropy: Entropy
    recovers: bool = False
    started: Callable[[], None] = lambda: None
    _reason: Reason | None = None
    _cut: bool = False
    _allowed: bool = False
    _walking: "asyncio.Task[None] | None" = field(default=None)
    _first: Reading | None = None
    _last: Reading | None = None

    @property
    def state(self) -> PowerState:
        """Where our side of the path is."""
        return self.path.state

    @property
    def delivered_wh(self) -> int:
        """By our own meter, since the first reading."""
        return self._last.register_wh - self._first.register_wh if self._last and self._first else 0

    @property
    def power_w(self) -> int:
        """By our own meter, at the last reading."""
        return self._last.power_w if self._last else 0

    async def go(self) -> None:
        """Begin the path, or go on after a pause with a fresh pattern."""
        if self._walking is not None:
            await self.path.feed(Resume(fresh_pattern(self.entropy) if self.begin.pattern is not None else None))
            return
        self.started()
        self._walk(self.begin)

    def _walk(self, begin: Begin | Recover) -> None:
        self._walking = asyncio.create_task(self.path.run(begin))
        self._walking.add_done_callback(_look_at)

    @property
    def has_begun(self) -> bool:
        """Whether the path will tell of its end."""
        return self._walking is not None

    async def allow(self, power_w: int) -> None:
        """No more than this from now on."""
        if not self._allowed:
            self._allowed = True
            await self.path.feed(PowerAllowed(self.power_max_w, direction_of(self.begin.role)))
        await self.path.feed(SetPower(power_w))

    async def suspend(self) -> None:
        """Power off in order, to go on later."""
        await self.path.feed(Pause("paused"))

    async def cut(self, reason: Reason) -> None:
        """Power off for good."""
        self._cut = True
        if self.recovers and self._walking is None:
            self._walk(Recover(self.begin))
        else:
            await self.path.stop(reason.code)

    async def hear_plug(self, plug: Plug) -> None:
        """What the peer says of the plug; before the path has begun it will be said again."""
        if self.path.begun:
            await self.path.feed(PeerPlug(PlugReport(plug.round, plug.step, plug.pattern, plug.voltage_mv)))

    async def end(self) -> None:
        """Wait until the path is at rest."""
        if self._walking is not None:
            await self._walking

    async def put_away(self) -> None:
        """Open the path if it is not at rest."""
        if self._walking is not None and not self._walking.done():
            self._walking.cancel()
            await asyncio.gather(self._walking, return_exceptions=True)

    def means(self, news: News) -> object | None:
        """The delivery machine's event for a piece of news; None where it has none."""
        match news:
            case Metered(reading):
                register_wh = reading.export_wh if self.begin.role is Role.PROVIDER else reading.import_wh
                self._last = Reading(reading.at_ms, register_wh, abs(reading.power_w))
                self._first = self._first or self._last
                return self._last
            case PlugTold(report):
                return OwnPlug(report.round, report.step, report.pattern, report.voltage_mv)
            case PathReached(milestone):
                self.events.tell("path", self.request_id, milestone=milestone.value)
                return PathPrepared() if milestone is Milestone.READY_FOR_POWER else None
            case PathDerated(power_w, reason):
                self.events.tell("derated", self.request_id, power_w=power_w, reason=reason)
                return OwnerLimit(power_w)
            case PathFailed(code, sentence):
                self._reason = Reason.WRONG_PLUG if code == WRONG_PLUG else Reason.POWER_FAULT
                self.events.tell("path_fault", self.request_id, code=code, sentence=sentence)
            case PathEnding(reason):
                if not self._cut and self._reason is None:
                    self._reason = ENDINGS.get(reason)
            case PathOff():
                return PathEnded(self._reason)
        return None


def fresh_pattern(entropy: Entropy) -> int:
    """A random pattern for the cable; 0 is left out, so that a dead reader can't match."""
    return 1 + draw_below(entropy, (1 << PATTERN_BITS) - 1)


def _look_at(task: "asyncio.Task[None]") -> None:
    """A walk is awaited by `end`; one that failed after it was put away must not be called forgotten."""
    if not task.cancelled():
        task.exception()
