"""The demonstration's world in real processes: one plant, any of the cast, as often as a test needs them.

`scene` starts them and ends them; a test waits for what the plant's log, a ledger or a node says, and never for a
time. When a test fails inside the scene, what every process said is printed.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, TypeVar

from ledger.audit.verify import Report, verify
from tests.support.commands import environment, free_port
from v2xnode.cli.demo.world import CAST, EVENING_MS, Cast, configuration, demo_world
from v2xnode.cli.ledger import reading
from v2xnode.clock import Clock
from v2xnode.config import CONFIG_FILE
from v2xnode.control import RemoteRefusal, command
from v2xnode.devices.errors import DeviceError, DeviceUnreachable
from v2xnode.devices.plain import to_plain
from v2xnode.devices.plant.world import WorldSpec
from v2xnode.devices.plant_client import PlantSocket, connect_plant
from v2xnode.errors import Unreachable
from v2xnode.identity import create_identity, load_identity
from v2xnode.settling.money import posting_rule
from v2xnode.settling.trades import Trade, trade
from v2xnode.toml import to_toml

DEADLINE_S = 40.0
"""Real time after which something that never happens fails its test: several times what a busy machine needs."""
LOOK_S = 0.05
LEAVE_S = 15.0
"""Real time for a node to power off, settle and leave; longer than the node itself allows."""

T = TypeVar("T")
Process = asyncio.subprocess.Process
Tables = Mapping[str, Mapping[str, Any]]


def cast(place: str, copy: str = "") -> Cast:
    """A part of the demonstration, or of its copy."""
    original = next(each for each in CAST if each.place == place)
    paths = tuple((profile, role, terminal + copy, battery) for profile, role, terminal, battery in original.paths)
    return replace(original, place=place + copy, paths=paths)


def world(*copies: str) -> WorldSpec:
    """The demonstration's world, once for each of the copies' names, all in one place."""
    one = demo_world()

    def named(things: Mapping[str, T], change: Callable[[T, str], T] = lambda thing, _: thing) -> dict[str, T]:
        return {name + copy: change(thing, copy) for copy in copies for name, thing in things.items()}

    return WorldSpec(
        at_ms=one.at_ms,
        batteries=named(one.batteries),
        loads=named(one.loads),
        cables=named(one.cables),
        terminals=named(
            one.terminals,
            lambda it, copy: replace(it, battery=it.battery and it.battery + copy, load=it.load and it.load + copy),
        ),
        meters=named(one.meters, lambda it, copy: replace(it, terminal=it.terminal + copy)),
    )


async def until(what: str, look: Callable[[], T | None], deadline_s: float = DEADLINE_S) -> T:
    """Look until there is something to see. Fails with `what` when there never is."""
    ends_s = time.monotonic() + deadline_s
    while (seen := look()) is None or seen is False:
        assert time.monotonic() < ends_s, f"waited {deadline_s:.0f} s in vain: {what}"
        await asyncio.sleep(LOOK_S)
    return seen


@dataclass(slots=True)
class Scene:
    """A running world. `now_ms` is the plant's own clock, which all processes of the machine share."""

    directory: Path
    speed: int
    began_ns: int
    clock: Clock
    plant: PlantSocket
    discovery_port: int
    bearers: Tables
    """Of all nodes, beside CoAP."""
    nodes: dict[str, Process] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)

    def now_ms(self) -> int:
        """World time, as the plant stamps its log."""
        return EVENING_MS + (time.monotonic_ns() - self.began_ns) * self.speed // 1_000_000

    def data(self, place: str) -> Path:
        return self.directory / place

    def address(self, place: str) -> str:
        """Where a node serves, as a person would type it."""
        return f"coap:127.0.0.1:{self._ports[place]}"

    def node_id(self, place: str) -> str:
        return load_identity(self.data(place)).node_id

    # doing

    def prepare(self, part: Cast, owner: Mapping[str, Any], node: Mapping[str, Any]) -> None:
        """A data directory with key and configuration."""
        data = self.data(part.place)
        data.mkdir(mode=0o700)
        create_identity(data)
        self._ports[part.place] = free_port()
        coap = {"loopback": True, "discovery_port": self.discovery_port, "port": self._ports[part.place]}
        bearers = {"coap": coap, **self.bearers}
        tables = configuration(part, self.directory / "plant.sock", self.clock, bearers)
        tables["owner"] |= owner
        tables["node"] |= node
        (data / CONFIG_FILE).write_text(to_toml(tables))

    async def start(self, place: str) -> None:
        """Start a prepared node; it may not be up yet."""
        data = self.data(place)
        with (data / "node.log").open("ab") as log:
            self.nodes[place] = await _started(["v2xnode", "run", "--data", str(data)], log)

    async def up(self, place: str) -> None:
        """Wait until a node answers."""
        ends_s = time.monotonic() + DEADLINE_S
        while True:
            try:
                await self.command(place, "status")
                return
            except Unreachable:
                assert self.nodes[place].returncode is None, f"{place} ended while it started"
                assert time.monotonic() < ends_s, f"{place} did not start"
                await asyncio.sleep(LOOK_S)

    async def command(self, place: str, method: str, **params: Any) -> Any:
        """Give a node a command."""
        return await command(self.data(place), method, params)

    async def ask_plant(self, op: str, **params: Any) -> Any:
        return await self.plant.ask({"op": op, **params})

    async def plug(self, cable: str, provider: str | None, client: str | None) -> None:
        await self.ask_plant("plug", cable=cable, provider=provider, client=client)

    async def leave(self, place: str, how: signal.Signals) -> int:
        """Send a node a signal and wait until it has gone; its exit code."""
        self.nodes[place].send_signal(how)
        async with asyncio.timeout(LEAVE_S):
            return await self.nodes[place].wait()

    # looking

    def log(self, what: str, terminal: str | None = None) -> list[dict[str, Any]]:
        """The plant's log so far: entries of one kind, of one terminal or of all."""
        lines = (self.directory / "plant.jsonl").read_text().splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [each for each in entries if each["what"] == what and terminal in (None, each.get("terminal"))]

    def power_w(self, terminal: str) -> int:
        """What flows at a terminal now."""
        told = self.log("power", terminal)
        return int(told[-1]["power_w"]) if told else 0

    def dead_since_ms(self, *terminals: str) -> int | None:
        """The world time since which nothing flows at any of the terminals; None while something does."""
        told = [self.log("power", terminal) for terminal in terminals]
        if any(not each or each[-1]["power_w"] for each in told):
            return None
        return max(int(each[-1]["at_ms"]) for each in told)

    def trade(self, place: str, request_id: str) -> Trade | None:
        """A trade as a node's own ledger has it now."""
        with reading(self.data(place)) as reader:
            return trade(reader, bytes.fromhex(request_id))

    def verified(self, place: str) -> Report:
        """What verification says of a node's ledger now."""
        with reading(self.data(place)) as reader:
            return verify(reader, posting_rule)

    def said(self) -> str:
        """What every process has printed."""
        files = [self.directory / "plant.err", *sorted(self.directory.glob("*/node.log"))]
        return "\n".join(
            f"--- {each.relative_to(self.directory)}\n{each.read_text(errors='replace')}" for each in files
        )


@asynccontextmanager
async def scene(
    directory: Path,
    parts: Sequence[Cast],
    *,
    place: WorldSpec | None = None,
    speed: int = 1,
    owner: Mapping[str, Any] | None = None,
    node: Mapping[str, Any] | None = None,
    bearers: Tables | None = None,
) -> AsyncIterator[Scene]:
    """Start a plant (of the demonstration's world, or of `place`) and a node for each part.

    owner, node: what the nodes' configurations have otherwise than the demonstration's. All the nodes find each other
    on a discovery port of their own, and on these bearers.
    """
    began_ns, wall_ms = time.monotonic_ns(), int(time.time() * 1000)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_plant(directory, place or demo_world(), speed, began_ns))
        plant = await stack.enter_async_context(_connected(directory / "plant.sock"))
        running = Scene(
            directory, speed, began_ns, Clock(speed, EVENING_MS, wall_ms), plant, free_port(), bearers or {}
        )
        stack.push_async_callback(_end, running.nodes)
        for part in parts:
            running.prepare(part, owner or {}, node or {})
            await running.start(part.place)
        try:
            await asyncio.gather(*(running.up(part.place) for part in parts))
            yield running
        except (AssertionError, RemoteRefusal, TimeoutError, DeviceError, Unreachable):
            print(running.said())
            raise


@asynccontextmanager
async def _plant(directory: Path, place: WorldSpec, speed: int, began_ns: int) -> AsyncIterator[None]:
    """A plant of its own process at `plant.sock`, its log beside it."""
    (directory / "world.json").write_text(json.dumps(to_plain(place)))
    arguments = {
        "--socket": directory / "plant.sock",
        "--world": directory / "world.json",
        "--log": directory / "plant.jsonl",
        "--speed": speed,
        "--wall-origin-ns": began_ns,
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    with (directory / "plant.err").open("wb") as said:
        process = await _started(["v2xnode.devices.plant_server", *words], said)
    try:
        yield
    finally:
        await _end({"plant": process})


async def _started(module: Sequence[str], said: IO[bytes]) -> Process:
    """A module of the project as a process, with nothing of this one's own settings."""
    words = [sys.executable, "-m", *module]
    return await asyncio.create_subprocess_exec(*words, stdout=said, stderr=said, env=environment())


@asynccontextmanager
async def _connected(socket_path: Path) -> AsyncIterator[PlantSocket]:
    """A connection to a plant that may still be starting."""
    ends_s = time.monotonic() + DEADLINE_S
    async with AsyncExitStack() as stack:
        while True:
            try:
                plant = await stack.enter_async_context(connect_plant(str(socket_path)))
                break
            except DeviceUnreachable:
                assert time.monotonic() < ends_s, "the plant did not start"
                await asyncio.sleep(LOOK_S)
        yield plant


async def _end(processes: Mapping[str, Process]) -> None:
    """Nothing more is to be learnt from these."""
    running = [process for process in processes.values() if process.returncode is None]
    for process in running:
        process.kill()
    await asyncio.gather(*(process.wait() for process in running))
