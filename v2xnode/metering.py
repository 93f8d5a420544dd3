"""Drives one session's power path: looks at charger and meter five times a second, feeds the interlock, does what it
says, and tells the session what happened.

Commands that take power away go first and wait for nothing. When the driver ends, however it ends, the path is open.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from market.terms import PowerState
from v2xnode.clock import Clock
from v2xnode.devices.errors import DeviceError, DeviceRefused
from v2xnode.devices.interface import DeviceSet, Open, Reading
from v2xnode.power.events import (
    Begin,
    Command,
    CommandRefused,
    Derated,
    Ending,
    Event,
    Fault,
    Milestone,
    Output,
    Phase,
    PlugReport,
    Reached,
    Recover,
    Resume,
    Sensed,
    Stop,
    TellPlug,
)
from v2xnode.power.interlock import Interlock

LOOK_MS = 200
"""World time between two looks: a fifteenth of a permit's life, so that one lost look costs nothing."""


@dataclass(frozen=True, slots=True)
class Metered:
    """A reading of our meter."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class PlugTold:
    """The peer must hear how far our side is."""

    report: PlugReport


@dataclass(frozen=True, slots=True)
class PathReached:
    milestone: Milestone


@dataclass(frozen=True, slots=True)
class PathDerated:
    """Our device can do less than is wanted."""

    power_w: int
    reason: str


@dataclass(frozen=True, slots=True)
class PathFailed:
    """The interlock's own fault: power is off or on its way off."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PathEnding:
    """Power is going off in order."""

    reason: str


@dataclass(frozen=True, slots=True)
class PathOff:
    """Power is off and the last reading was told."""


News = Metered | PlugTold | PathReached | PathDerated | PathFailed | PathEnding | PathOff

_STATES = {
    Phase.IDLE: PowerState.OFF,
    Phase.RISING: PowerState.PREPARING,
    Phase.DELIVERING: PowerState.DELIVERING,
    Phase.FALLING: PowerState.STOPPING,
    Phase.PAUSED: PowerState.PAUSED,
    Phase.ENDED: PowerState.OFF,
    Phase.HELD: PowerState.FAULT,
}


class PowerPath:
    """One session's path. `tell` gets the news in order and must not wait."""

    def __init__(self, devices: DeviceSet, clock: Clock, tell: Callable[[News], None]) -> None:
        self._devices = devices
        self._clock = clock
        self._tell = tell
        self._interlock = Interlock()
        self._busy = asyncio.Lock()
        self._off_told = False
        self._left = False
        """Stopped before it began, or opened on leaving: nothing is commanded any more."""
        self._commanded = 0
        """How often the charger was told something."""

    @property
    def state(self) -> PowerState:
        """For Status: where the path is."""
        return PowerState.OFF if self._left else _STATES[self._interlock.phase]

    @property
    def begun(self) -> bool:
        return self._interlock.phase is not Phase.IDLE

    @property
    def ended(self) -> bool:
        """Whether the path is at rest for good."""
        return self._left or self._interlock.phase in (Phase.ENDED, Phase.HELD)

    async def read(self) -> Reading:
        """The meter now, outside of the loop. Raises DeviceError."""
        return await self._devices.meter.read()

    async def feed(self, event: Event) -> None:
        """One event to the interlock, and its commands to the charger; done to the end even if the caller is
        cancelled, since a half-sent command leaves a device in a state that nobody knows. A device that does not
        answer is told as a failure of the path: its permit runs out by itself."""
        try:
            await asyncio.shield(self._feed(event))
        except DeviceError as problem:
            self._tell(PathFailed(problem.code, str(problem)))

    async def _feed(self, event: Event) -> None:
        async with self._busy:
            if self._left:
                return
            if isinstance(event, Resume):
                self._off_told = False
            await self._do(self._interlock.handle(event, self._clock.monotonic_ms()))

    async def stop(self, reason: str) -> None:
        """Take power away for good; a path that has not begun never will. Harmless when it is off."""
        if self.begun:
            await self.feed(Stop(reason))
        else:
            self._left = True

    async def run(self, begin: Begin | Recover) -> None:
        """Walk the path from lock to unlock, or what is left of it; returns when it is at rest. On leaving, the path is
        open."""
        try:
            await asyncio.shield(self._feed(begin))
            while not self.ended:
                await asyncio.shield(self._look())
                await self._clock.sleep_ms(LOOK_MS)
        except DeviceError as problem:
            self._tell(PathFailed(problem.code, str(problem)))
        finally:
            if not self.ended:
                await asyncio.shield(self._open())
            self._tell_off()

    async def _look(self) -> None:
        """What the charger senses, unless it was told something meanwhile: then this may be how things stood before,
        a fresh permit still missing, and the next look shows what came of it."""
        commanded = self._commanded
        sense = await self._devices.charger.sense()
        async with self._busy:
            if not self._left and self._commanded == commanded:
                await self._do(self._interlock.handle(Sensed(sense), self._clock.monotonic_ms()))
        self._tell(Metered(await self._devices.meter.read()))

    async def _open(self) -> None:
        """Power off now: a driver that can't answer loses its permit by itself. A look that was cut off may still be
        under way; whatever it makes the interlock say comes before this or not at all."""
        self._left = True
        async with self._busy:
            try:
                await self._devices.charger.command([Open()])
                self._tell(Metered(await self._devices.meter.read()))
            except DeviceError as problem:
                self._tell(PathFailed(problem.code, str(problem)))

    async def _do(self, outputs: tuple[Output, ...]) -> None:
        commands = [output.command for output in outputs if isinstance(output, Command)]
        if commands:
            try:
                await self._devices.charger.command(commands)
            except DeviceRefused as refusal:
                await self._do(self._interlock.handle(CommandRefused(refusal.code), self._clock.monotonic_ms()))
            finally:
                self._commanded += 1
        for output in outputs:
            await self._report(output)

    async def _report(self, output: Output) -> None:
        match output:
            case TellPlug():
                self._tell(PlugTold(output.report))
            case Reached(Milestone.POWERED_OFF):
                self._tell(Metered(await self._devices.meter.read()))
                self._tell_off()
            case Reached():
                self._tell(PathReached(output.milestone))
            case Derated():
                self._tell(PathDerated(output.max_power_w, output.reason))
            case Fault():
                self._tell(PathFailed(output.code, output.sentence))
            case Ending():
                self._tell(PathEnding(output.reason))

    def _tell_off(self) -> None:
        if not self._off_told:
            self._off_told = True
            self._tell(PathOff())
