"""Claim: a set-up and a Stop take far less time on a fast link than what the deliverable allows.

Two real node processes on loopback CoAP, each with its ledger on disk (every commit synced) and simulated devices. A
trade is agreed, in turn by peers that know each other and by strangers, and stopped while energy flows, in turn by
each side. Beside: FLOW deliverable D3.1, Table 6. `--trades N` for more than the usual few.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import Row, Table, median, percentile, publish
from tests.support.acts import V2V
from tests.support.processes import Scene, cast, scene
from v2xnode.control import RemoteRefusal

NAME = "times"
TRADES = 20
ENERGY_WH = 100
"""Enough that a Stop comes in the middle."""
SPEED = 8
"""World seconds a real second: what is measured is real time, what lies between (checks of the cable) passes faster."""
AMI_MS = 2_000
"""D3.1, Table 6: latency of metering and charging data, the lower end of 2-15 s."""
CONTROL_MS = 1_000
"""D3.1, Table 6: latency of monitoring and control."""
OWNER = {"reserve_permille": 200, "exposure_wh": {V2V.service: 200}}
"""Energy for hundreds of trades."""


@dataclass
class Measured:
    """Real milliseconds: of set-ups by kind, and from the cut at whoever stopped to the cut at the other."""

    known_ms: list[float] = field(default_factory=list)
    strangers_ms: list[float] = field(default_factory=list)
    stops_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pair:
    stage: Scene

    async def trade(self, *, known: bool, stopped_by: str) -> tuple[float, float]:
        """One trade; its set-up's time and its Stop's."""
        buying = asyncio.create_task(self._buy(known))
        try:
            request_id = await self._flowing(buying)
            await self.stage.command(stopped_by, "stop", request_id=request_id)
        finally:
            with suppress(RemoteRefusal):
                await buying
        other = V2V.client if stopped_by == V2V.provider else V2V.provider
        first, then = [await self._cut_at_ms(place, request_id) for place in (stopped_by, other)]
        trades = await self.stage.command(V2V.client, "trades")
        set_up_ms = next(each["setup_ms"] for each in trades if each["request_id"] == request_id)
        return float(set_up_ms), (then - first) / SPEED

    async def _buy(self, known: bool) -> Any:
        return await self.stage.command(
            V2V.client,
            "request",
            service=V2V.service,
            energy_wh=ENERGY_WH,
            energy_min_wh=1,
            power_max_w=V2V.power_max_w,
            price_max_micro_per_kwh=600_000,
            window_ms=600_000,
            address=self.stage.address(V2V.provider),
            peer=self.stage.node_id(V2V.provider) if known else "",
        )

    async def _flowing(self, buying: "asyncio.Task[Any]") -> str:
        while True:
            running = (await self.stage.command(V2V.provider, "status"))["deliveries"]
            if running and running[0]["delivered_wh"]:
                return str(running[0]["request_id"])
            if buying.done():
                raise RuntimeError(f"nothing flowed: {buying.result()}")
            await asyncio.sleep(0.02)

    async def _cut_at_ms(self, place: str, request_id: str) -> int:
        cuts = await self.stage.command(place, "events", kind="power_cut")
        return int(next(each["at_ms"] for each in cuts if each["session"] == request_id))


async def measure(trades: int = TRADES) -> Measured:
    """So many trades one after the other."""
    found = Measured()
    with tempfile.TemporaryDirectory(prefix="times-") as directory:
        parts = [cast(V2V.provider), cast(V2V.client)]
        async with scene(Path(directory), parts, speed=SPEED, owner=OWNER) as stage:
            await stage.plug(V2V.cable, "car_a.v2v", "car_b.v2v")
            for number in range(trades):
                known, stopped_by = number % 2 == 0, (V2V.provider, V2V.client)[number // 2 % 2]
                set_up_ms, stop_ms = await _Pair(stage).trade(known=known, stopped_by=stopped_by)
                (found.known_ms if known else found.strangers_ms).append(set_up_ms)
                found.stops_ms.append(stop_ms)
    return found


def table(found: Measured) -> Table:
    """Medians and the slow end, each beside its limit."""
    rows: list[Row] = []
    for what, values, limit in (
        ("set-up of known peers (IK)", found.known_ms, AMI_MS),
        ("set-up of strangers (XX)", found.strangers_ms, AMI_MS),
        ("Stop obeyed by the other side", found.stops_ms, CONTROL_MS),
    ):
        rows.append(Row(f"{what}, p50 of {len(values)}", "ms", median(values), limit, limit))
        rows.append(Row("  p99", "ms", percentile(values, 99), limit, limit))
    note = (
        "Fewer than 100 trades: p99 is the slowest. Set-up: from the owner's command to Start, syncs to disk included."
    )
    return Table("Times on loopback CoAP, signed and encrypted", "D3.1 T6", tuple(rows), note)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=TRADES)
    publish(NAME, [table(asyncio.run(measure(parser.parse_args(arguments).trades)))])


if __name__ == "__main__":
    main()
