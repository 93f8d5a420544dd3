"""The demonstration in one process: the same nodes and plant, with the in-memory network in place of a bearer."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transports.memory import MemoryNetwork
from v2xnode.cli.demo.world import CAST, EVENING_MS, configuration, demo_world
from v2xnode.clock import Clock
from v2xnode.config import CONFIG_FILE
from v2xnode.control import command
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant_client import PlantSocket, connect_plant
from v2xnode.devices.plant_server import serve_plant
from v2xnode.identity import create_identity
from v2xnode.node import open_node
from v2xnode.toml import to_toml

SEED = 20_260_114
"""Of the network's delays; nothing else is random in it."""


@dataclass(slots=True)
class Inside:
    """The world of a demonstration while it runs."""

    directory: Path
    plant: PlantSocket

    def data(self, place: str) -> Path:
        """A node's data directory."""
        return self.directory / place

    async def command(self, place: str, method: str, **params: Any) -> Any:
        """Give a node a command. Raises what the node answers."""
        return await command(self.data(place), method, params)


@asynccontextmanager
async def inside(directory: Path, speed: int) -> AsyncIterator[Inside]:
    """The plant and all nodes in this process, ended with the context."""
    clock = Clock(speed, EVENING_MS, int(time.time() * 1000))
    network = MemoryNetwork(SEED)
    async with AsyncExitStack() as stack:
        socket = directory / "plant.sock"
        log = stack.enter_context((directory / "plant.jsonl").open("w"))
        plant = Plant(demo_world(), lambda entry: print(entry, file=log))
        await stack.enter_async_context(serve_plant(plant, socket, clock.wall_ms, speed))
        access = await stack.enter_async_context(connect_plant(str(socket)))
        for cast in CAST:
            data = directory / cast.place
            data.mkdir(mode=0o700)
            create_identity(data)
            (data / CONFIG_FILE).write_text(to_toml(configuration(cast, socket, clock)))
            bearers = {"memory": network.transport(cast.place)}
            await stack.enter_async_context(open_node(data, bearers))
        yield Inside(directory, access)
