"""A plan as it happens: nodes, air, plant and people, and everything that goes wrong meanwhile."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from market.errors import Reason
from market.units import Role, Service
from tests.simulation.disk import Disk
from tests.simulation.life import Air, Body
from tests.simulation.plan import ACTS, HONEST, Plan, Purchase, Trouble
from v2xnode.cli.demo.world import CAR_A, CAST, EVENING_MS, RESERVE_WH, configuration, demo_world
from v2xnode.config import parse_config
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.simulated import LocalPlant
from v2xnode.errors import NodeError
from v2xnode.identity import Identity
from v2xnode.toml import to_toml
from v2xnode.trading.asking import Wish
from v2xnode.trading.remains import unheard

TROUBLE_S = 60.0
"""World time in which things go wrong."""
REST_S = 600.0
"""World time after that in which every session has to be over: what a provider has not heard is told again every
five minutes."""
DOWN_S = 2.0
"""How long a node is down that dies at a commit."""
SLOWEST_S = 2.0
"""What a meter takes for a reading at worst."""
LOOK_MS = 300
SPARE_WH = 400
OBEYED_S = 8.0
"""World time in which a Stop is obeyed on both sides: with the worst air, three repetitions."""


PERMIT_MS = 3_500
"""World time after which a device whose node died has opened by itself: a permit's life, and a look of the plant."""
POWER_W = {Service.V2V: 50_000, Service.V2H: 11_000, Service.V2L: 3_600}


@dataclass(slots=True)
class World:
    """A plan as it happens. `trace` is everything of note, in order."""

    seed: int
    drawn: Plan
    make_disk: Callable[[], Disk] = Disk
    bodies: dict[str, Body] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)
    promised_twice: list[str] = field(default_factory=list)
    """Nodes that were selling twice at once what they have once."""
    stopped: dict[str, float] = field(default_factory=dict)
    """Sessions that an owner stopped, and when."""
    going_on: list[str] = field(default_factory=list)
    """Those of them that carried power after that."""
    begun_wh: dict[str, int] = field(default_factory=dict)
    """What each meter of a provider showed at first."""
    lowest_wh: int = 0
    """The least that was in car_a's battery."""
    unpermitted: list[tuple[str, int, str, int]] = field(default_factory=list)
    """(node, since when it is dead, its terminal, power there) where no permit can be alive any more."""
    plant: Plant = field(init=False)
    air: Air = field(init=False)
    _doomed: dict[str, tuple[str, float, int]] = field(default_factory=dict)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    _watching: "asyncio.Task[None] | None" = None
    _began_s: float = 0.0

    def wall_s(self) -> float:
        """UTC of the world."""
        return EVENING_MS / 1000 + asyncio.get_running_loop().time() - self._began_s

    def now_ms(self) -> int:
        return int(self.wall_s() * 1000)

    def note(self, what: str) -> None:
        loop = asyncio.get_running_loop()
        self.trace.append(f"{loop.time() - self._began_s:9.3f} {what}")

    async def happen(self) -> None:
        """All of it, until the world is at rest or its time is up."""
        self._began_s = asyncio.get_running_loop().time()
        self._build()
        for body in self.bodies.values():
            await body.start()
        self._tasks += [asyncio.create_task(self._buy(each)) for each in self.drawn.purchases]
        self._tasks += [asyncio.create_task(self._strike(each)) for each in self.drawn.troubles]
        self._watching = asyncio.create_task(self._watch())
        await asyncio.sleep(TROUBLE_S)
        await self._heal()
        await self._rest()

    def _build(self) -> None:
        world = demo_world()
        full = replace(world.batteries[CAR_A], energy_wh=RESERVE_WH + SPARE_WH)
        self.plant = Plant(replace(world, batteries={**world.batteries, CAR_A: full}), lambda entry: None)
        self.air = Air(self.seed, **self.drawn.air)
        for service in self.drawn.services:
            self.plant.plug(*ACTS[service])
            self.begun_wh[ACTS[service][1]] = self.plant.read(ACTS[service][1]).export_wh
        self.lowest_wh = self._stored_wh()
        access = LocalPlant(self.plant, self.now_ms)
        for number, place in enumerate(self.drawn.places):
            cast = next(each for each in CAST if each.place == place)
            config = parse_config(to_toml(configuration(cast, "unused")))  # type: ignore[arg-type]
            chance = random.Random(self.seed * 100 + number)
            identity = Identity.from_seed(hashlib.sha256(place.encode()).digest(), chance.randbytes)
            body = Body(cast, config, identity, self.make_disk(), self.air, access, self._reached, self.wall_s)
            body.meter.shown_permille = self.drawn.lies.get(place, HONEST)
            self.bodies[place] = body

    # what people do

    async def _buy(self, purchase: Purchase) -> None:
        await asyncio.sleep(purchase.at_s)
        life = self.bodies[purchase.client].life
        if life is None or life.task.done():
            return
        wish = Wish(purchase.service, purchase.energy_wh, 1, POWER_W[purchase.service], 600_000, 600_000)
        try:
            trade = await life.node.request(wish, look_ms=LOOK_MS)
            self.note(f"{purchase.client} bought {trade['delivered_wh']}, {trade['state']}")
        except NodeError as problem:
            self.note(f"{purchase.client} bought nothing: {problem.code}")

    # what goes wrong

    def _reached(self, body: Body, label: str) -> None:
        if label == "after_commit" and body.life is not None:
            running = body.life.node._desk.deliveries.running.values()
            if sum(each.role is Role.PROVIDER and each.finished is None for each in running) > 1:
                self.promised_twice.append(body.name)
        kind, point, life = self._doomed.get(body.name, ("", 0.0, 0))
        if not kind or body.life is None or life != body.lives:
            return
        commits = body.life.writer.commits
        if commits + (0.5 if label == "before_commit" else 0.0) < point:
            return
        del self._doomed[body.name]
        self.note(f"{body.name} dies {label}, {commits} are written")
        body.die(self.now_ms(), power=kind.startswith("power"))
        self._tasks.append(asyncio.create_task(self._rise(body)))

    async def _rise(self, body: Body) -> None:
        await asyncio.sleep(DOWN_S)
        if not body.alive:
            await body.start()

    async def _strike(self, trouble: Trouble) -> None:
        await asyncio.sleep(trouble.at_s)
        self.note(f"{trouble.what} {' '.join(trouble.who)} {trouble.amount}")
        await getattr(self, f"_{trouble.what}")(trouble)

    async def _bad_air(self, trouble: Trouble) -> None:
        self.air.worsen(int(trouble.amount), 50, 100)

    async def _apart(self, trouble: Trouble) -> None:
        self.air.apart.add(frozenset(trouble.who))
        await asyncio.sleep(trouble.amount)
        self.air.apart.discard(frozenset(trouble.who))

    async def _stop(self, trouble: Trouble) -> None:
        life = self.bodies[trouble.who[0]].life
        if life is not None:
            for session in await life.node.stop(reason=Reason.STOPPED_BY_OWNER):
                self.stopped.setdefault(session, asyncio.get_running_loop().time())

    async def _jump(self, trouble: Trouble) -> None:
        self.bodies[trouble.who[0]].clock_off_s += trouble.amount

    async def _disk_full(self, trouble: Trouble) -> None:
        disk = self.bodies[trouble.who[0]].disk
        disk.full = True
        await asyncio.sleep(trouble.amount)
        disk.full = False

    async def _slow_meter(self, trouble: Trouble) -> None:
        meter = self.bodies[trouble.who[0]].meter
        meter.slow_s = min(trouble.amount, SLOWEST_S)
        await asyncio.sleep(trouble.amount)
        meter.slow_s = 0.0

    async def _unplug(self, trouble: Trouble) -> None:
        for service in self.drawn.services:
            cable, *ends = ACTS[service]
            if trouble.who[0] in ends[0] + ends[1]:
                self.plant.plug(cable, None, None)

    async def _restart(self, trouble: Trouble) -> None:
        """In order: the process is asked to stop, and does."""
        body = self.bodies[trouble.who[0]]
        life = body.life
        if life is None:
            return
        life.task.cancel()
        await asyncio.wait({life.task})
        if body.life is not life:
            return  # killed meanwhile
        body.life, body.died_ms = None, self.now_ms()
        body.disk.lose_process(life.writer.driver)
        await asyncio.sleep(trouble.amount)
        await body.start()

    async def _kill(self, trouble: Trouble, *, power: bool = False) -> None:
        body = self.bodies[trouble.who[0]]
        body.die(self.now_ms(), power=power)
        await asyncio.sleep(trouble.amount)
        if not body.alive:
            await body.start()

    async def _power_loss(self, trouble: Trouble) -> None:
        await self._kill(trouble, power=True)

    async def _kill_at_commit(self, trouble: Trouble) -> None:
        body = self.bodies[trouble.who[0]]
        if body.life is not None:
            self._doomed[body.name] = (trouble.what, body.life.writer.commits + trouble.amount, body.lives)

    async def _power_loss_at_commit(self, trouble: Trouble) -> None:
        await self._kill_at_commit(trouble)

    # the end

    async def _heal(self) -> None:
        """Nothing goes wrong any more; who is dead is started again."""
        self.note("heal")
        self._doomed.clear()
        self.air.apart.clear()
        self.air.worsen(0, 0, 0)
        strikes = self._tasks[len(self.drawn.purchases) :]
        for body in self.bodies.values():
            body.clock_off_s, body.disk.full = 0.0, False
        if strikes:
            await asyncio.wait(strikes)
        for body in self.bodies.values():
            if body.life is None or body.life.task.done():
                await body.start()

    async def _rest(self) -> None:
        ends_s = asyncio.get_running_loop().time() + REST_S
        while not self.at_rest() and asyncio.get_running_loop().time() < ends_s:  # noqa: ASYNC110  # a database too
            await asyncio.sleep(5)

    def at_rest(self) -> bool:
        """Whether no delivery runs, nothing is locked, and no client has something to tell. A provider waits until it
        is asked."""
        return all(self._is_idle(body) for body in self.bodies.values())

    def _is_idle(self, body: Body) -> bool:
        life = body.life
        if life is None or life.node._desk.deliveries.running or life.node._desk.buying.tasks:
            return False
        return life.writer.ledger.transact(lambda view: not view.locks() and not unheard(view))

    async def end(self) -> None:
        """Stop what is left."""
        for body in self.bodies.values():
            if body.life is not None:
                body.life.task.cancel()
                await asyncio.wait({body.life.task})
            await body.bury()
        left = [*self._tasks, *([] if self._watching is None else [self._watching])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # what is seen

    def _stored_wh(self) -> int:
        state = self.plant.state(CAR_A)
        return state.capacity_wh - state.room_wh

    async def _watch(self) -> None:
        """Twice a second: the reserve, and power where nobody holds a permit any more."""
        while True:
            await asyncio.sleep(0.5)
            self.plant.advance(self.now_ms())
            self.lowest_wh = min(self.lowest_wh, self._stored_wh())
            for body in self.bodies.values():
                self._look_at_stopped(body)
                if body.alive or self.now_ms() - body.died_ms < PERMIT_MS:
                    continue
                for _, role, terminal, _ in body.cast.paths:
                    power_w = abs(self.plant.sense(terminal).power_w)
                    if power_w and needs_permit(terminal, role):
                        self.unpermitted.append((body.name, body.died_ms, terminal, power_w))

    def _look_at_stopped(self, body: Body) -> None:
        running = {} if body.life is None else body.life.node._desk.deliveries.running
        for request_id, delivering in running.items():
            stopped_s = self.stopped.get(request_id.hex())
            late = stopped_s is not None and asyncio.get_running_loop().time() - stopped_s > OBEYED_S
            if late and delivering.walk.power_w:
                self.going_on.append(request_id.hex())


def needs_permit(terminal: str, role: str) -> bool:
    """A load's side of an AC socket holds none: it takes what is there."""
    return not (terminal.endswith(".v2l") and role == "client")
