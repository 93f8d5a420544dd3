"""The plant: owns the world's things, steps them through world time, and is where all that happens is written down."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import TypeVar

from v2xnode.devices.errors import DeviceRefused, DeviceUnknown
from v2xnode.devices.interface import MAX_COMMANDS, BatteryState, PathCommand, PathSense, Reading
from v2xnode.devices.plant.battery import PlantBattery
from v2xnode.devices.plant.cable import Cable
from v2xnode.devices.plant.commands import obey
from v2xnode.devices.plant.flow import NO_FLOW, Flow, solve, wanted_mw
from v2xnode.devices.plant.load import demand_mw, next_change_ms
from v2xnode.devices.plant.log import Entry, PlantLog
from v2xnode.devices.plant.meter import PlantMeter
from v2xnode.devices.plant.path import Path, live_mv, reshape
from v2xnode.devices.plant.quantity import watts_shown
from v2xnode.devices.plant.senses import sense
from v2xnode.devices.plant.terminal import Fault, Terminal
from v2xnode.devices.plant.world import WorldSpec

T = TypeVar("T")


class Plant:
    """One world. Everything is a function of the calls and their world times: no clock, no chance.

    `advance` goes through each event at its own millisecond: a permit that runs out between two calls opens its
    device, and is logged, at the very time that it ran out. Splitting a stretch into several calls changes nothing.
    """

    def __init__(self, world: WorldSpec, sink: Callable[[Entry], None] | None = None) -> None:
        self.world = world
        self.now_ms = world.at_ms
        self.log = PlantLog(sink)
        self.batteries = {name: PlantBattery(spec) for name, spec in world.batteries.items()}
        self.terminals = {name: Terminal(name, spec) for name, spec in world.terminals.items()}
        self.cables = {name: Cable(name, spec) for name, spec in world.cables.items()}
        self.meters = {name: PlantMeter(spec, world.at_ms) for name, spec in world.meters.items()}
        self._incidents = sorted(world.incidents, key=lambda incident: incident.at_ms)
        self._flows: dict[str, Flow] = dict.fromkeys(self.cables, NO_FLOW)
        self._settle()

    # Time

    def advance(self, to_ms: int) -> None:
        """Go on to a world time. An earlier one than now does nothing: the world never goes back."""
        while self.now_ms < to_ms:
            due_ms = self.next_event_ms()
            stop_ms = min(due_ms, to_ms)
            self._pass(stop_ms - self.now_ms)
            self.now_ms = stop_ms
            if stop_ms == due_ms:
                self._happen()

    def next_event_ms(self) -> int:
        """When something changes by itself next; at the latest the next grid point."""
        grid_ms = self.world.grid_ms
        due = [self.now_ms - (self.now_ms - self.world.at_ms) % grid_ms + grid_ms]
        for terminal in self.terminals.values():
            if terminal.permit is not None:
                due.append(terminal.permit.until_ms)
            if terminal.pending is not None:
                due.append(terminal.pending[0])
        due += [next_change_ms(load, self.now_ms) for load in self.world.loads.values()]
        due += [incident.at_ms for incident in self._incidents[:1]]
        return max(self.now_ms, min(due))

    # What devices ask

    def sense(self, terminal: str) -> PathSense:
        """Look at the path from one side. Raises DeviceUnknown."""
        return sense(self, self._terminal(terminal))

    def command(self, terminal: str, commands: Iterable[PathCommand]) -> None:
        """Obey in order. Raises DeviceRefused at the first refused; those before it stand."""
        wanted = tuple(commands)
        if len(wanted) > MAX_COMMANDS:
            raise DeviceRefused(f"At most {MAX_COMMANDS} commands in one request.", code="too_many_commands")
        device = self._terminal(terminal)
        try:
            for command in wanted:
                obey(self, device, command)
        finally:
            self._settle()

    def read(self, meter: str) -> Reading:
        """Read a meter. Raises DeviceUnknown."""
        return _named(self.meters, meter, "meter").read(self.now_ms)

    def state(self, battery: str) -> BatteryState:
        """Ask a battery manager. Raises DeviceUnknown."""
        return _named(self.batteries, battery, "battery").state(self.now_ms)

    # What people and fate do

    def inject(self, terminal: str, fault: Fault, on: bool = True) -> None:
        """Let a fault come or go. Raises DeviceUnknown."""
        device = self._terminal(terminal)
        change = device.faults.add if on else device.faults.discard
        with reshape(self, device):
            change(fault)
            if fault is Fault.WELD and not on:
                device.conducts = device.closed
        self.log.write(self.now_ms, "fault", terminal=terminal, fault=fault.value, on=on)
        if on and fault in (Fault.PULLED, Fault.RCD, Fault.DEVICE):
            self.open(device, fault.value)
        self._settle()

    def plug(self, cable: str, provider: str | None, client: str | None) -> None:
        """Put a cable's ends where they are named, None to let one hang. Raises DeviceRefused while a lock holds
        an end (`locked`) or another cable is there (`occupied`), and DeviceUnknown."""
        wire = _named(self.cables, cable, "cable")
        new = [self._terminal(end) for end in (provider, client) if end is not None]
        old = [self.terminals[end] for end in (wire.provider, wire.client) if end is not None]
        if any(device.locked for device in chain(old, new)):
            raise DeviceRefused("The connector is locked.", code="locked")
        if any(self.cable_at(device) not in (None, wire) for device in new):
            raise DeviceRefused("Another cable is in this connector.", code="occupied")
        wire.provider, wire.client = provider, client
        wire.pattern = None
        self.log.write(self.now_ms, "plug", cable=cable, provider=provider, client=client)
        self._settle()

    def cross(self, one: str, other: str) -> None:
        """Swap the client ends of two cables: each pair is now plugged to the wrong car."""
        first, second = _named(self.cables, one, "cable"), _named(self.cables, other, "cable")
        ends = ((one, first.provider, second.client), (other, second.provider, first.client))
        self.plug(one, first.provider, None)
        self.plug(other, second.provider, None)
        for cable, provider, client in ends:
            self.plug(cable, provider, client)

    def miscount(self, battery: str, energy_wh: int) -> None:
        """Let a battery manager be wrong by this much from now on: back to 0 is a recalibration jump."""
        _named(self.batteries, battery, "battery").miscount_wh = energy_wh

    def report(self) -> dict[str, dict[str, int]]:
        """Each cable's exact account, in µJ (see `cable.Account`)."""
        return {name: cable.account.as_plain() for name, cable in self.cables.items()}

    # For the rules in `commands` and `senses`

    def cable_at(self, terminal: Terminal) -> Cable | None:
        """The cable in a terminal's connector."""
        return next((c for c in self.cables.values() if terminal.name in (c.provider, c.client)), None)

    def path_of(self, terminal: Terminal) -> Path | None:
        """The whole path that a terminal is part of, None unless two fitting ends are plugged."""
        cable = self.cable_at(terminal)
        return None if cable is None else self._path(cable)

    def open(self, terminal: Terminal, why: str) -> None:
        """Everything off at one terminal, as `interface.Open`."""
        was_closed, had_permit = terminal.closed, terminal.permit is not None
        path = self.path_of(terminal)
        if path is not None and path.master is terminal and path.ready(self.now_ms):
            terminal.ready_until_ms = self.now_ms
        with reshape(self, terminal, letting_go=True):
            terminal.open()
        if had_permit:
            self.log.write(self.now_ms, "permit_ended", terminal=terminal.name, why=why)
        if was_closed:
            self.log.write(self.now_ms, "contactor", terminal=terminal.name, closed=False, why=why)

    # Inside

    def _terminal(self, name: str) -> Terminal:
        return _named(self.terminals, name, "charger")

    def _path(self, cable: Cable) -> Path | None:
        if cable.provider is None or cable.client is None:
            return None
        provider, client = self.terminals[cable.provider], self.terminals[cable.client]
        if Fault.PULLED in provider.faults | client.faults:
            return None
        fits = provider.spec.profile is client.spec.profile and provider.spec.role is not client.spec.role
        return Path(cable, provider, client) if fits else None

    def _happen(self) -> None:
        """All that is due at this very millisecond."""
        for terminal in self.terminals.values():
            if terminal.pending is not None and terminal.pending[0] <= self.now_ms:
                terminal.setpoint_w, terminal.pending = terminal.pending[1], None
            if terminal.permit is not None and terminal.permit.until_ms <= self.now_ms:
                self.open(terminal, "permit_ran_out")
        while self._incidents and self._incidents[0].at_ms <= self.now_ms:
            incident = self._incidents.pop(0)
            self.inject(incident.terminal, incident.fault, incident.on)
        if (self.now_ms - self.world.at_ms) % self.world.grid_ms == 0:
            self._warm()
        self._settle()

    def _pass(self, elapsed_ms: int) -> None:
        """Constant flows for a while."""
        for name, flow in self._flows.items():
            if flow is NO_FLOW:
                continue
            path = self._path(self.cables[name])
            if path is None:
                continue
            self.batteries[path.provider.spec.battery or ""].move(-flow.taken_mw * elapsed_ms)
            if path.client.spec.battery is not None:
                self.batteries[path.client.spec.battery].move(flow.delivered_mw * elapsed_ms)
            flow.book(path.cable.account, elapsed_ms, into_battery=path.client.spec.battery is not None)
        for meter in self.meters.values():
            meter.flow(self.terminals[meter.spec.terminal].flow_mw, elapsed_ms)

    def _warm(self) -> None:
        """One grid step of all temperatures. A battery's heat follows the busiest of its terminals."""
        busy = dict.fromkeys(self.batteries, 0)
        for terminal in self.terminals.values():
            terminal.heat.step(abs(terminal.flow_mw), terminal.spec.max_power_w * 1000, self.world.grid_ms)
            if terminal.spec.battery is not None:
                busy[terminal.spec.battery] = max(busy[terminal.spec.battery], abs(terminal.flow_mw))
        for name, battery in self.batteries.items():
            rated_w = max(battery.spec.max_charge_w, battery.spec.max_discharge_w)
            battery.heat.step(busy[name], rated_w * 1000, self.world.grid_ms)

    def _settle(self) -> None:
        """Find all flows anew. A battery that feeds two paths serves the first by name first."""
        grid_ms = self.world.grid_ms
        give = {name: battery.discharge_limit_mw(grid_ms) for name, battery in self.batteries.items()}
        take = {name: battery.charge_limit_mw(grid_ms) for name, battery in self.batteries.items()}
        powers = dict.fromkeys(self.terminals, 0)
        for name, cable in sorted(self.cables.items()):
            path = self._path(cable)
            flow = NO_FLOW if path is None else self._flow(path, give, take)
            self._flows[name] = flow
            if path is not None:
                give[path.provider.spec.battery or ""] -= flow.taken_mw
                if path.client.spec.battery is not None:
                    take[path.client.spec.battery] -= flow.delivered_mw
                powers[path.provider.name], powers[path.client.name] = flow.sent_mw, -flow.received_mw
        self._show(powers)

    def _flow(self, path: Path, give: dict[str, int], take: dict[str, int]) -> Flow:
        """One path's flow; an outlet whose load neither curtails nor fits trips and opens by itself."""
        volt_mv = live_mv(self, path)
        if not path.live or volt_mv <= 0:
            return NO_FLOW
        give_mw = give[path.provider.spec.battery or ""]
        load = self.world.loads.get(path.client.spec.load or "")
        take_mw = take[path.client.spec.battery or ""] if load is None else demand_mw(load, self.now_ms)
        flow = solve(path.cable, path.provider, path.client, give_mw=give_mw, take_mw=take_mw, volt_mv=volt_mv)
        if load is None or load.curtails or flow.delivered_mw >= take_mw:
            return flow
        if wanted_mw(path.cable, path.client, take_mw, volt_mv) > flow.sent_mw:
            path.provider.tripped = "overload"
            self.open(path.provider, "overload")
            return NO_FLOW
        return flow

    def _show(self, powers: dict[str, int]) -> None:
        for name, power_mw in powers.items():
            terminal = self.terminals[name]
            if watts_shown(power_mw) != watts_shown(terminal.flow_mw):
                self.log.write(self.now_ms, "power", terminal=name, power_w=watts_shown(power_mw))
            terminal.flow_mw = power_mw
        for meter in self.meters.values():
            meter.see(powers[meter.spec.terminal])


def _named(things: Mapping[str, T], name: str, what: str) -> T:
    try:
        return things[name]
    except KeyError:
        raise DeviceUnknown(f"No {what} is called {name!r} in this world.") from None
