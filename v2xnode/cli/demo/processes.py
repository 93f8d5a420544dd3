"""The demonstration's processes: one plant, one node for each part, each its own; all ended with the context."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2xnode.cli.demo.bearers import Bearer, joined
from v2xnode.cli.demo.process import Process, ended
from v2xnode.cli.demo.world import CAST, EVENING_MS, configuration, demo_world
from v2xnode.clock import Clock
from v2xnode.config import CONFIG_FILE
from v2xnode.control import command
from v2xnode.devices.errors import DeviceUnreachable
from v2xnode.devices.plain import to_plain
from v2xnode.devices.plant_client import PlantSocket, connect_plant
from v2xnode.errors import LocalError, Unreachable
from v2xnode.identity import create_identity
from v2xnode.toml import to_toml

START_S = 60.0
"""Real time for a process to start on a slow or busy machine."""
LOOK_S = 0.02


@dataclass(slots=True)
class Running:
    """The world of a demonstration while it runs."""

    directory: Path
    plant: PlantSocket
    nodes: dict[str, Process]

    def data(self, place: str) -> Path:
        """A node's data directory."""
        return self.directory / place

    @property
    def plant_log(self) -> Path:
        return self.directory / "plant.jsonl"

    async def command(self, place: str, method: str, **params: Any) -> Any:
        """Give a node a command. Raises what the node answers."""
        return await command(self.data(place), method, params)


@asynccontextmanager
async def running(directory: Path, bearer: Bearer, speed: int) -> AsyncIterator[Running]:
    """Start the plant and all nodes below `directory`; on leaving, stop the nodes first, power off, and then the
    plant. Raises LocalError when a process does not come up."""
    monotonic_ns, wall_ms = time.monotonic_ns(), int(time.time() * 1000)
    clock = Clock(speed, EVENING_MS, wall_ms)
    async with AsyncExitStack() as stack:
        socket = directory / "plant.sock"
        await stack.enter_async_context(_plant(directory, socket, speed, monotonic_ns))
        plant = await _connected(stack, socket)
        for cast in CAST:
            (directory / cast.place).mkdir(mode=0o700)
            create_identity(directory / cast.place)
        tables = await stack.enter_async_context(joined(bearer, directory, [cast.place for cast in CAST]))
        nodes = {}
        for cast in CAST:
            data = directory / cast.place
            config = configuration(cast, socket, clock, tables[cast.place])
            (data / CONFIG_FILE).write_text(to_toml(config))
            nodes[cast.place] = await stack.enter_async_context(_node(data))
        await asyncio.gather(*(_answers(directory / place) for place in nodes))
        try:
            yield Running(directory, plant, nodes)
        finally:
            for process in nodes.values():  # all at once; each is waited for as the stack unwinds
                with suppress(ProcessLookupError):
                    process.terminate()


@asynccontextmanager
async def _plant(directory: Path, socket: Path, speed: int, monotonic_ns: int) -> AsyncIterator[None]:
    world = directory / "world.json"
    world.write_text(json.dumps(to_plain(demo_world()), indent=1))
    arguments = ("--socket", socket, "--world", world, "--log", directory / "plant.jsonl", "--speed", speed)
    origin = ("--wall-origin-ns", monotonic_ns)
    with (directory / "plant.err").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "v2xnode.devices.plant_server",
            *map(str, (*arguments, *origin)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
        )
        async with ended(process):
            yield


@asynccontextmanager
async def _node(data: Path) -> AsyncIterator[Process]:
    with (data / "node.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "v2xnode", "run", "--data", str(data), stdout=log, stderr=log
        )
        async with ended(process):
            yield process


async def _connected(stack: AsyncExitStack, socket: Path) -> PlantSocket:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return await stack.enter_async_context(connect_plant(str(socket)))
        except DeviceUnreachable as problem:
            if time.monotonic() >= deadline:
                raise LocalError(f"The plant did not start: {problem}", code="plant_failed") from None
            await asyncio.sleep(LOOK_S)


async def _answers(data: Path) -> None:
    """Wait until a node answers on its control socket."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            await command(data, "status", {})
            return
        except Unreachable:
            if time.monotonic() >= deadline:
                log = (data / "node.log").read_text(errors="replace").strip().splitlines()
                raise LocalError(f"{data.name} did not start: {' '.join(log[-3:])}", code="node_failed") from None
            await asyncio.sleep(LOOK_S)
