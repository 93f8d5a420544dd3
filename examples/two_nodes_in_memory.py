"""Two cars in one process: one sells the other a quarter of a kilowatt-hour, and both ledgers say the same.

    python examples/two_nodes_in_memory.py [DIRECTORY]

The nodes are the real ones, with keys and ledgers on disk, below DIRECTORY if one is named. Only the world is not:
batteries, cable and meters are the simulated plant's, its clock runs five times as fast as ours, and the bearer is the
in-memory network, here one that loses a packet in fifty.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from market.units import Service
from transports.memory import MemoryNetwork
from v2xnode.cli.demo.world import CAST, EVENING_MS, Cast, configuration, demo_world
from v2xnode.clock import Clock
from v2xnode.config import CONFIG_FILE
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant_server import serve_plant
from v2xnode.identity import create_identity
from v2xnode.node import Node, open_node
from v2xnode.toml import to_toml
from v2xnode.trading.asking import Wish

SPEED = 5
NEEDED = Wish(
    service=Service.V2V,
    energy_wh=250,
    energy_min_wh=100,
    power_max_w=50_000,
    price_max_micro_per_kwh=600_000,
    window_ms=600_000,
)


async def trade(directory: Path) -> None:
    """The whole story."""
    clock = Clock(SPEED, EVENING_MS, int(time.time() * 1000))
    network = MemoryNetwork(seed=1, loss_permille=20)
    socket = directory / "plant.sock"
    id4, ioniq, *_ = CAST
    async with AsyncExitStack() as stack:
        plant = Plant(demo_world(plugged=True))
        await stack.enter_async_context(serve_plant(plant, socket, clock.wall_ms, SPEED))
        seller, buyer = [
            await stack.enter_async_context(
                open_node(_directory(directory, cast, socket, clock), {"memory": network.transport(cast.place)})
            )
            for cast in (id4, ioniq)
        ]
        for heard in await buyer.discover():
            services = " ".join(bit.name or "" for bit in heard.provides)
            print(f"{buyer.name} hears {heard.sighting.address}, which offers {services}.")
        print(f"{buyer.name} asks for {NEEDED.energy_wh} Wh.")
        await buyer.request(NEEDED)
        for node in (seller, buyer):
            await _tell(node)


def _directory(directory: Path, cast: Cast, socket: Path, clock: Clock) -> Path:
    """A node's data directory, as `v2xnode init` makes it: a key and a configuration."""
    data = directory / cast.place
    data.mkdir(mode=0o700)
    create_identity(data)
    (data / CONFIG_FILE).write_text(to_toml(configuration(cast, socket, clock)))
    return data


async def _tell(node: Node) -> None:
    for each in await node.trades():
        meter_wh = each["delivered_wh"][each["role"]]
        print(f"{node.name}'s ledger: {each['sentence']} (its own meter: {meter_wh} Wh, {each['receipts']} receipts)")


def main() -> None:
    """Tell the story in the named directory, or in one that is gone afterwards."""
    if len(sys.argv) > 1:
        directory = Path(sys.argv[1])
        directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(trade(directory.resolve()))
        return
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        asyncio.run(trade(Path(name)))


if __name__ == "__main__":
    main()
