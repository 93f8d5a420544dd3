"""One node through its lives: what outlasts a process (key, disk, clock, devices), and what ends with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from market.terms import Profile
from market.units import Role
from tests.simulation.disk import Disk, DiskWriter
from tests.simulation.plan import HONEST
from transports.errors import LinkLost
from transports.interface import Announcement, Handler, Link, Sighting
from transports.memory import MemoryNetwork
from v2xnode.cli.demo.world import Cast
from v2xnode.clock import Clock
from v2xnode.config import Config
from v2xnode.devices.errors import DeviceUnreachable
from v2xnode.devices.simulated import LocalPlant, simulated_devices
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.node import Node
from v2xnode.paths import Connector, Connectors
from v2xnode.trading.books import Books


class Air(MemoryNetwork):
    """A network in which addresses fall silent for good, and nodes (all their addresses) lose sight of each other."""

    def __init__(self, seed: int, **air: Any) -> None:
        super().__init__(seed, **air)
        self.muted: set[str] = set()
        self.apart: set[frozenset[str]] = set()

    def _is_cut(self, a: str, b: str) -> bool:
        names = frozenset((a.split(".")[0], b.split(".")[0]))
        return a in self.muted or b in self.muted or names in self.apart or super()._is_cut(a, b)

    def worsen(self, loss_permille: int, duplicate_permille: int, reorder_permille: int) -> None:
        """From now on the air is like this."""
        self._loss_permille = loss_permille
        self._duplicate_permille = duplicate_permille
        self._reorder_permille = reorder_permille


@dataclass(slots=True)
class Meter:
    """What becomes of a node's readings on their way: late, and with too little or too much of what it has received."""

    shown_permille: int = HONEST
    slow_s: float = 0.0
    _began_wh: dict[str, int] = field(default_factory=dict)

    async def show(self, meter: str, reading: dict[str, Any]) -> dict[str, Any]:
        """As the node gets it."""
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        began_wh = self._began_wh.setdefault(meter, reading["import_wh"])
        received_wh = reading["import_wh"] - began_wh
        return {**reading, "import_wh": began_wh + received_wh * self.shown_permille // HONEST}


@dataclass(slots=True)
class Reach:
    """The way of one life to its devices: cut when the process dies."""

    plant: LocalPlant
    meter: Meter
    cut: bool = False

    async def ask(self, request: Mapping[str, Any]) -> Any:
        if self.cut:
            raise DeviceUnreachable("this process is dead")
        answer = await self.plant.ask(request)
        return await self.meter.show(request["meter"], answer) if request["op"] == "read" else answer


@dataclass(slots=True)
class Antenna:
    """A bearer of one life: deaf and mute when the process dies."""

    network: MemoryNetwork
    address: str
    cut: bool = False
    inner: Any = field(init=False)

    def __post_init__(self) -> None:
        self.inner = self.network.transport(self.address)

    @property
    def name(self) -> str:
        return str(self.inner.name)

    def serving(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        return self.inner.serving(handler)  # type: ignore[no-any-return]

    def announce(self, announcement: Announcement | None) -> None:
        self.inner.announce(announcement)

    def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        return self.inner.discover(window_ms=window_ms)  # type: ignore[no-any-return]

    async def dial(self, address: str) -> Link:
        if self.cut:
            raise LinkLost("this process is dead")
        return await self.inner.dial(address)  # type: ignore[no-any-return]

    def counters(self) -> dict[str, int]:
        return self.inner.counters()  # type: ignore[no-any-return]


@dataclass(slots=True)
class Life:
    """One process of a node: a task that ends with it."""

    node: Node
    writer: DiskWriter
    antenna: Antenna
    reach: Reach
    task: "asyncio.Task[None]"
    up: asyncio.Event


@dataclass(slots=True)
class Body:
    """What a node is beyond its processes."""

    cast: Cast
    config: Config
    identity: Identity
    disk: Disk
    network: Air
    plant: LocalPlant
    reached: Callable[["Body", str], None]
    """Told each label that a process comes by; may kill it."""
    wall_s: Callable[[], float]
    meter: Meter = field(default_factory=Meter)
    clock_off_s: float = 0.0
    lives: int = 0
    died_ms: int = 0
    life: Life | None = None
    ghosts: list[Life] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.cast.place

    @property
    def alive(self) -> bool:
        return self.life is not None

    async def start(self) -> None:
        """A new process on what the disk holds, at a new address; unless one runs."""
        if self.life is not None and not self.life.task.done():
            return
        self.lives += 1
        loop = asyncio.get_running_loop()
        clock = Clock(1, 0, 0, lambda: self.wall_s() + self.clock_off_s, loop.time)
        writer = DiskWriter.open(
            self.disk, self.identity.signer, self.identity.entropy, lambda label: self.reached(self, label)
        )
        reach, antenna = Reach(self.plant, self.meter), Antenna(self.network, f"{self.name}.{self.lives}")
        books, events = Books(writer, clock), EventLog(clock)
        transports = {antenna.name: antenna}
        node = Node(self.config, self.identity, clock, events, books, transports, self._connectors(reach))
        up = asyncio.Event()
        self.life = Life(node, writer, antenna, reach, loop.create_task(_run(node, up)), up)
        ended = loop.create_task(up.wait())
        await asyncio.wait({self.life.task, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()

    def _connectors(self, reach: Reach) -> Connectors:
        return Connectors(
            Connector(
                Profile[profile],
                Role[role.upper()],
                simulated_devices(reach, charger=name, meter=name, battery=self.name if battery else None),
            )
            for profile, role, name, battery in self.cast.paths
        )

    def die(self, now_ms: int, *, power: bool) -> None:
        """The process ends at once. What its code still does, nobody sees: its disk, its bearer and its devices are
        cut off."""
        life, self.life = self.life, None
        if life is None:
            return
        self.died_ms = now_ms
        life.writer.dead = life.reach.cut = life.antenna.cut = True
        if power:
            self.disk.lose_power(life.writer.driver)
        else:
            self.disk.lose_process(life.writer.driver)
        self.network.muted.add(life.antenna.address)
        life.task.cancel()
        self.ghosts.append(life)

    async def bury(self) -> None:
        """Wait until the code of dead processes has ended."""
        for ghost in self.ghosts:
            ghost.writer.bury()
            await asyncio.wait({ghost.task})
        self.ghosts.clear()


async def _run(node: Node, up: asyncio.Event) -> None:
    async with node.running():
        up.set()
        await asyncio.Event().wait()
