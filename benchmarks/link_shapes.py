"""A trade over each technology of the deliverable's Table 3: `python -m benchmarks.link_shapes`.

Two whole nodes, in real time, on an in-memory network that carries as much as the technology, in packets as large as
its frames. Speeds are the table's; delays and losses are assumed, and no technology's own protocol is played. All
shapes run at once, for they mostly wait; some two minutes.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Row, Table, publish
from market.units import Service
from tests.support.node_pair import Town, town, until, wish
from transports.memory import MemoryNetwork

PROVIDER, CLIENT = "car_a", "house"
ENERGY_WH = 120
EXPOSURE_WH = 400
"""So that there is one interval a minute, as in a trade of every day."""
LOOK_MS = 3_000
LONGEST_S = 300.0
BITS = 8
DUTY_PERMILLE = 10
"""What EN 300 220-2 leaves a LoRa node in most of the 868 MHz band, of each hour."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A technology. frame_bytes: payload of one frame; delay_ms: one way, assumed; duty_permille: of each sender, None
    for no limit; status_period_ms: what an installer sets there."""

    name: str
    rate_bps: int
    frame_bytes: int
    delay_ms: tuple[int, int]
    loss_permille: int = 0
    duty_permille: int | None = None
    status_period_ms: int = 1_000


SHAPES = (
    Shape("Fast Ethernet", 100_000_000, 1_452, (1, 1)),
    Shape("Wi-Fi", 100_000_000, 1_452, (2, 8), loss_permille=5),
    Shape("WiMAX", 70_000_000, 1_400, (20, 40)),
    Shape("LTE", 100_000_000, 1_400, (20, 50)),
    Shape("GSM/GPRS", 114_000, 500, (250, 400), loss_permille=10),
    Shape("Zigbee", 250_000, 81, (5, 15), loss_permille=10),
    Shape("LoRa, 27 kbps", 27_000, 222, (20, 60), duty_permille=DUTY_PERMILLE),
    Shape("LoRa, 27 kbps, a sign of life each 10 s", 27_000, 222, (20, 60), 0, DUTY_PERMILLE, 10_000),
    Shape("LoRaWAN DR5, 5.5 kbps, each 20 s", 5_470, 222, (20, 60), 0, DUTY_PERMILLE, 20_000),
)
"""Frames: IEEE 802.15.4 leaves 81 octets (RFC 4944, section 4); LoRaWAN's DR5 222 (RP002, EU863-870)."""


@dataclass(slots=True)
class Measured:
    """What one shape brought. airtime: of the node that sent more, while energy flowed, in thousandths."""

    shape: Shape
    strangers: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    airtime_permille: float = 0.0
    alike: bool = False


async def measure(shape: Shape) -> Measured:
    """Two trades, of strangers and of the same two when they know each other."""
    air = {"loss_permille": shape.loss_permille, "delay_ms": shape.delay_ms, "rate_bps": shape.rate_bps}
    network = MemoryNetwork(7, **air, mtu=shape.frame_bytes)  # type: ignore[arg-type]  # each has its own
    measured = Measured(shape)
    settings = {"status_period_ms": shape.status_period_ms}
    owners = {PROVIDER: {"exposure_wh": {"V2H": EXPOSURE_WH}}}
    async with town(PROVIDER, CLIENT, networks=[network], owners=owners, node=settings, speed=1) as world:
        await world.plug("wallbox", "car_a.v2h", "house.v2h")
        measured.strangers = await _trade(world)
        measured.known, measured.airtime_permille = await _watched(world, shape)
        measured.alike = _alike(world)
        world.check()
    return measured


async def _trade(world: Town) -> dict[str, Any]:
    done = await world.nodes[CLIENT].request(wish(ENERGY_WH, Service.V2H), look_ms=LOOK_MS)
    await until("the provider is at rest", lambda: not world.nodes[PROVIDER]._desk.deliveries.running, LONGEST_S)
    return done


async def _watched(world: Town, shape: Shape) -> tuple[dict[str, Any], float]:
    """A trade, and the share of the time in which the busier node sends while energy flows."""
    trading = asyncio.create_task(_trade(world))
    await until("energy flows", lambda: _reached(world, "energised") == 2, LONGEST_S)
    began_s, before = asyncio.get_running_loop().time(), _sent(world)
    await until("it has flowed", lambda: len(world.events(CLIENT, "power_cut")) == 2, LONGEST_S)
    took_s, after = asyncio.get_running_loop().time() - began_s, _sent(world)
    sent_bytes = max(after[place] - before[place] for place in (PROVIDER, CLIENT))
    return await trading, 1000 * sent_bytes * BITS / shape.rate_bps / took_s


def _reached(world: Town, milestone: str) -> int:
    """How often the client's path has come so far."""
    return sum(event.data["milestone"] == milestone for event in world.events(CLIENT, "path"))


def _sent(world: Town) -> dict[str, int]:
    return {place: int(world.nodes[place].bearers["memory"]["bytes_sent"]) for place in (PROVIDER, CLIENT)}


def _alike(world: Town) -> bool:
    """Both ledgers say the same of both trades."""
    told = [
        [(each.request_id, each.state, each.agreed_wh, each.amounts_micro) for each in world.trades(place)]
        for place in (PROVIDER, CLIENT)
    ]
    return told[0] == told[1] and [each[1] for each in told[0]] == ["settled"] * 2


def tables(all_measured: list[Measured]) -> list[Table]:
    """For people."""
    set_ups, airtime = list[Row](), list[Row]()
    for each in all_measured:
        for who, done in (("strangers", each.strangers), ("known", each.known)):
            set_ups.append(Row(f"{each.shape.name}, {who}: {done['setup_bytes']} B", "ms", done["setup_ms"]))
        goal = each.shape.duty_permille
        airtime.append(Row(each.shape.name, "permille", each.airtime_permille, goal=goal))
    alike = sum(each.alike for each in all_measured)
    note = f"On {alike} of {len(all_measured)} both trades settled alike in both ledgers."
    return [
        Table("Set-up, first byte to Start", "-", tuple(set_ups), note=note),
        Table("Time on the air while energy flows, of the node that sends more", "-", tuple(airtime)),
    ]


async def _all() -> list[Measured]:
    return await asyncio.gather(*(measure(shape) for shape in SHAPES))


if __name__ == "__main__":
    publish("link_shapes", tables(asyncio.run(_all())))
