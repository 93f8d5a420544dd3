"""The demonstration's two cars on a bad link: each node a process in a network namespace of its own, one plant.

World time is real time, as that of the link is.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.acts import V2V
from tests.support.commands import environment
from tests.support.emulator import ADDRESSES, INTERFACE, BadLink, joined
from tests.support.netns import Namespace
from tests.support.processes import Process, Scene, cast, scene
from v2xnode.cli.demo.world import configuration
from v2xnode.config import CONFIG_FILE
from v2xnode.control import RemoteRefusal
from v2xnode.toml import to_toml

PORT = 5_701
"""Each node has a machine of its own, as far as its sockets can tell."""
PROVIDER, CLIENT = V2V.provider, V2V.client
PLACES = (PROVIDER, CLIENT)
TERMINALS = ("car_a.v2v", "car_b.v2v")
ENERGY_WH = 10
"""Some seconds of a trade: its opening, its power, its closing."""
LONG_WH = 100
"""So much that a Stop comes in the middle."""
OWNER: Mapping[str, Any] = {"reserve_permille": 200, "exposure_wh": {"V2V": V2V.exposure_wh}}
"""Energy for hundreds of small trades."""
LOOK_S = 0.05
REST_S = 200.0
"""Real time until a provider takes a client that says nothing more for gone, and closes by itself."""
FLOWS_S = 60.0
"""Real time until power flows, at the worst link of the tests."""


@dataclass(frozen=True, slots=True)
class SlowPair:
    """Two nodes that reach each other over the bad link only."""

    stage: Scene

    async def trade(self, *, known: bool, energy_wh: int = ENERGY_WH) -> dict[str, Any]:
        """One purchase to its end, as the client's node tells it. known: the client names the provider's key, so that
        the two need no introduction."""
        told: dict[str, Any] = await self.stage.command(
            CLIENT,
            "request",
            service=V2V.service,
            energy_wh=energy_wh,
            energy_min_wh=1,
            power_max_w=V2V.power_max_w,
            price_max_micro_per_kwh=600_000,
            window_ms=600_000,
            address=f"coap:{ADDRESSES[0]}:{PORT}",
            peer=self.stage.node_id(PROVIDER) if known else "",
        )
        return told

    async def stopped(self, who: str, *, known: bool) -> tuple[dict[str, Any], int]:
        """A long purchase that one of the two stops as soon as energy flows: the trade, and how much later than there
        power was cut at the other, in ms."""
        asked = asyncio.create_task(self.trade(known=known, energy_wh=LONG_WH))
        try:
            async with asyncio.timeout(FLOWS_S):
                await self._stop_when_it_flows(who, asked)
        finally:
            done = await asked
        other = PLACES[1 - PLACES.index(who)]
        first_ms, then_ms = [await self._cut_at_ms(place, done["request_id"]) for place in (who, other)]
        return done, then_ms - first_ms

    async def _stop_when_it_flows(self, who: str, asked: "asyncio.Task[Any]") -> None:
        while not asked.done():
            if request_id := await self._flowing():
                with suppress(RemoteRefusal):  # it has just ended by itself
                    await self.stage.command(who, "stop", request_id=request_id)
                return
            await asyncio.sleep(LOOK_S)

    async def _flowing(self) -> str:
        running = (await self.stage.command(PROVIDER, "status"))["deliveries"]
        return str(running[0]["request_id"]) if running and running[0]["delivered_wh"] else ""

    async def _cut_at_ms(self, place: str, request_id: str) -> int:
        cuts = await self.stage.command(place, "events", kind="power_cut")
        return int(next(each["at_ms"] for each in cuts if each["session"] == request_id))

    async def at_rest(self) -> None:
        """Wait until neither has a delivery under way. The last word of the client gets lost as easily as the others,
        and then its provider waits for it."""
        async with asyncio.timeout(REST_S):
            for place in PLACES:
                while True:
                    if not (await self.stage.command(place, "status"))["deliveries"]:
                        break
                    await asyncio.sleep(LOOK_S)

    def settled(self, request_id: str) -> bool:
        """Whether the trade is settled in both ledgers, with the same energy and the same amounts."""
        one, other = (self.stage.trade(place, request_id) for place in PLACES)
        assert one is not None
        assert other is not None
        alike = (one.agreed_wh, one.amounts_micro) == (other.agreed_wh, other.amounts_micro)
        return alike and one.state == other.state == "settled"

    def verified(self) -> bool:
        """Whether both ledgers verify."""
        return all(self.stage.verified(place).fault is None for place in PLACES)


@asynccontextmanager
async def slow_pair(directory: Path, link: BadLink) -> AsyncIterator[SlowPair]:
    """The two cars, plugged together and up."""
    with joined(link) as machines:
        async with scene(directory, []) as stage:
            for place, machine, address in zip(PLACES, machines, ADDRESSES, strict=True):
                _prepare(stage, place, address)
                stage.nodes[place] = await _started(stage, place, machine)
            await asyncio.gather(*map(stage.up, PLACES))
            await stage.plug(V2V.cable, *TERMINALS)
            yield SlowPair(stage)


def _prepare(stage: Scene, place: str, address: str) -> None:
    part = cast(place)
    stage.prepare(part, OWNER, {})
    tables = configuration(part, stage.directory / "plant.sock", stage.clock)
    tables["coap"] = {"host": address, "port": PORT, "interface": INTERFACE}
    tables["owner"] |= OWNER
    (stage.data(place) / CONFIG_FILE).write_text(to_toml(tables))


async def _started(stage: Scene, place: str, machine: Namespace) -> Process:
    data = stage.data(place)
    words = machine.command([sys.executable, "-m", "v2xnode", "run", "--data", str(data)])
    with (data / "node.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log, env=environment())
