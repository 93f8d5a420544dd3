"""Two fitting terminals and the cable between them: what is live, at which voltage, and how voltages come and go."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from v2xnode.devices.plant.cable import Cable
from v2xnode.devices.plant.quantity import Ramp
from v2xnode.devices.plant.terminal import Fault, Terminal

if TYPE_CHECKING:
    from v2xnode.devices.plant.plant import Plant

MAINS_MV = 230_000
"""Nominal voltage of the AC profiles (EN 50160)."""

CHECK_MS = 1_500
"""How long an insulation test, or the test of a residual current device, takes."""

UNSEEN_MS = 500
"""Two looks and a half; an output is off within 2 s at the latest (t13)."""

INNER_DISCHARGE_MS = 800
"""How long a converter's own bus takes to discharge; t13 allows 2 s."""


@dataclass(frozen=True, slots=True)
class Path:
    """One path as it is plugged now."""

    cable: Cable
    provider: Terminal
    client: Terminal

    @property
    def master(self) -> Terminal:
        return self.provider if self.provider.is_master else self.client

    @property
    def follower(self) -> Terminal:
        return self.client if self.provider.is_master else self.provider

    @property
    def live(self) -> bool:
        """Power may flow: every contactor closed and every device that needs a permit holds one."""
        ends = (self.provider, self.client)
        return all(end.conducts and end.may_energise for end in ends) and self.master.closed

    def ready(self, now_ms: int) -> bool:
        """The master's status: its check is done and good, and it has not been opened since."""
        since = self.master.checking_since_ms
        return since is not None and now_ms >= since + CHECK_MS and self._sound()

    def has_just_opened(self, now_ms: int) -> bool:
        """The master was ready a moment ago, and opened. A node looks five times a second, and its command takes its
        time: who closes meanwhile could not know that, nor that the voltage falls. It sees it at its next look, and
        nothing is live until then."""
        until = self.master.ready_until_ms
        return until is not None and now_ms <= until + UNSEEN_MS and self._sound()

    def _sound(self) -> bool:
        faults = self.master.faults | self.follower.faults
        return not faults & ({Fault.INSULATION} if self.master.kind.dc else {Fault.RCD})

    @property
    def insulation_ohm(self) -> int:
        bad = Fault.INSULATION in self.provider.faults | self.client.faults
        return 5_000 if bad else self.cable.spec.insulation_ohm


def live_mv(plant: "Plant", path: Path) -> int:
    """What is between the conductors of the cable now, polarity and injected faults left out."""
    if not path.master.kind.dc:
        # A welded outlet keeps its voltage behind an open feedback; that its permit ended stops the power.
        return MAINS_MV if path.master.conducts else 0
    for end in (path.provider, path.client):
        if end.feeds_cable:
            return plant.batteries[end.spec.battery or ""].voltage_mv
    level_mv = path.cable.pattern_level_mv(plant.now_ms)
    return path.cable.ramp.at(plant.now_ms) if level_mv is None else level_mv


def inner_mv(plant: "Plant", terminal: Terminal) -> int:
    """The bus inside a converter, between it and its battery's contactor."""
    if terminal.conducts:
        return plant.batteries[terminal.spec.battery or ""].voltage_mv
    return terminal.inner.at(plant.now_ms)


@contextmanager
def reshape(plant: "Plant", terminal: Terminal, *, letting_go: bool = False) -> Iterator[None]:
    """Change a terminal's contacts. A voltage that nobody holds any more falls from where it stood.

    letting_go: the terminal switches everything off, a master its output too.
    """
    path = plant.path_of(terminal)
    before_mv = 0 if path is None else live_mv(plant, path)
    inner_before_mv = inner_mv(plant, terminal) if _has_inner_bus(terminal) else 0
    held = terminal.conducts
    yield
    released = held and not terminal.conducts
    if _has_inner_bus(terminal) and released:
        terminal.inner = Ramp(inner_before_mv, 0, plant.now_ms, plant.now_ms + INNER_DISCHARGE_MS)
    if path is None or not path.master.kind.dc:
        return
    if letting_go and terminal.is_master:
        path.cable.cut_pattern(plant.now_ms)
        path.cable.precharging = False
    _let_fall(plant, path, before_mv, released)


def _has_inner_bus(terminal: Terminal) -> bool:
    return terminal.kind.inner_bus and terminal.is_master


def _let_fall(plant: "Plant", path: Path, before_mv: int, released: bool) -> None:
    if path.provider.feeds_cable or path.client.feeds_cable:
        return
    cable, now_ms = path.cable, plant.now_ms
    if cable.precharging or path.master.closed:
        if released:
            cable.ramp = Ramp(before_mv, before_mv, now_ms, now_ms)
    elif released or cable.ramp.to_mv:
        cable.ramp = Ramp(before_mv, 0, now_ms, now_ms + cable.spec.discharge_ms)
