"""Whole nodes in one process: the demonstration's cast on its plant, joined by an in-memory network that may be bad.

Time is real and the world runs five times as fast, since the ledger's thread can't live in virtual time. A test
waits for what an event, a ledger or the plant says, never for a time.
"""

import asyncio
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ledger.audit.verify import verify
from ledger.store.ledger import Ledger
from ledger.store.writer import Writer
from market.terms import Accept, EntryBody, Head, Hello, Request
from market.units import Service
from transports.interface import Transport
from transports.memory import MemoryNetwork, MemoryTransport
from transports.secure import Visibility
from v2xnode.cli.demo.world import CAR_A, CAST, EVENING_MS, RESERVE_WH, Cast, configuration, demo_world
from v2xnode.cli.ledger import reading
from v2xnode.clock import Clock
from v2xnode.config import CONFIG_FILE, DATABASE_FILE, ElectricalSection
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.world import WorldSpec
from v2xnode.devices.plant_client import PlantSocket, connect_plant
from v2xnode.devices.plant_server import serve_plant
from v2xnode.envelope import Item, Letter, Link, Talk, read, sign_letter
from v2xnode.events import Event, EventLog
from v2xnode.identity import Identity, create_identity, load_identity
from v2xnode.links import AcceptedLink, DialledLink, Greeting, Links, RawItems
from v2xnode.node import Node, open_node
from v2xnode.settling.money import posting_rule
from v2xnode.settling.netting import bears_out
from v2xnode.settling.trades import Trade, trade, trades
from v2xnode.toml import to_toml
from v2xnode.trading.asking import Wish
from v2xnode.trading.books import Books

DEADLINE_S = 30.0
"""Real time after which something that never happens fails its test."""
SPEED = 5
"""World seconds a real second: a power permit then lives 0.6 s of real time, which a busy machine keeps up with."""
LOOK_S = 0.01
LOOK_MS = 150
"""Of a look around: in one process the answers come within some milliseconds."""

SPARE_WH = 275
"""What the ID.4 has above its reserve: enough for the largest trade of these tests, too little for two of them."""

T = TypeVar("T")


def wish(energy_wh: int, service: Service = Service.V2V, *, least_wh: int = 1) -> Wish:
    """A need of the demonstration's kind."""
    power_w = {Service.V2V: 50_000, Service.V2H: 11_000, Service.V2L: 3_600}[service]
    return Wish(service, energy_wh, least_wh, power_w, 600_000, 600_000)


async def until(what: str, look: Callable[[], T | None], deadline_s: float = DEADLINE_S) -> T:
    """Look until there is something to see. Fails with `what` when there never is."""
    ends_s = time.monotonic() + deadline_s
    while (seen := look()) is None or seen is False:
        assert time.monotonic() < ends_s, f"waited {deadline_s:.0f} s in vain: {what}"
        await asyncio.sleep(LOOK_S)
    return seen


@dataclass(slots=True)
class Town:
    """A running world. Nodes come by their places in the demonstration's cast."""

    directory: Path
    clock: Clock
    networks: Sequence[MemoryNetwork]
    plant: PlantSocket
    nodes: dict[str, Node] = field(default_factory=dict)
    bearers: dict[str, Transport] = field(default_factory=dict)
    """In place of the networks, by the node's place."""

    @property
    def network(self) -> MemoryNetwork:
        """The only one, or the first."""
        return self.networks[0]

    def data(self, place: str) -> Path:
        return self.directory / place

    def key(self, place: str) -> bytes:
        """A node's public key."""
        return load_identity(self.data(place)).public

    def events(self, place: str, kind: str) -> list[Event]:
        return self.nodes[place].events.since(0, kind)

    async def heard(self, place: str, kind: str, code: str = "") -> Event:
        """The first event of a kind (and code), once it is there."""

        def look() -> Event | None:
            found = (each for each in self.events(place, kind) if code in ("", each.data.get("code")))
            return next(found, None)

        return await until(f"{kind} {code} at {place}", look)

    async def plug(self, cable: str = "box", provider: str = "car_a.v2v", client: str = "car_b.v2v") -> None:
        await self.plant.ask({"op": "plug", "cable": cable, "provider": provider, "client": client})

    async def power_w(self, meter: str) -> int:
        """What a meter shows now."""
        return abs(int((await self.plant.ask({"op": "read", "meter": meter}))["power_w"]))

    def trades(self, place: str) -> list[Trade]:
        with reading(self.data(place)) as reader:
            return trades(reader)

    def trade(self, place: str, request_id: str) -> Trade:
        """A trade as a node's own ledger has it; fails where it has none."""
        with reading(self.data(place)) as reader:
            found = trade(reader, bytes.fromhex(request_id))
        assert found is not None
        return found

    def locks(self, place: str) -> int:
        with reading(self.data(place)) as reader:
            return len(reader.locks())

    def outbox(self, place: str) -> int:
        with reading(self.data(place)) as reader:
            return len(reader.outbox())

    def balances(self, place: str) -> Mapping[str, tuple[int, int]]:
        """Posted and pending millionths by the kind of account."""
        with reading(self.data(place)) as reader:
            found = reader.balances().items()
        return {name.split(":")[0]: (each.posted_micro, each.pending_micro) for (name, _), each in found}

    def check(self, *places: str) -> None:
        """Every ledger verifies; no connector, energy or debt stays locked."""
        for place in places or tuple(self.nodes):
            with reading(self.data(place)) as reader:
                report = verify(reader, posting_rule, bears_out)
            assert report.ok, f"{place}: {report.sentence}"
            assert self.locks(place) == 0, place

    def contents(self, place: str) -> list[str]:
        """All rows of a node's database, as SQL: the same text means that nothing was changed."""
        with sqlite3.connect(self.data(place) / DATABASE_FILE) as connection:
            dump = list(connection.iterdump())
        connection.close()
        return dump


def agree(provider: Trade, client: Trade) -> None:
    """Both ledgers say the same of a settled trade."""
    assert (provider.state, client.state) == ("settled", "settled")
    assert provider.agreed_wh == client.agreed_wh
    assert provider.amounts_micro == client.amounts_micro


def _world() -> WorldSpec:
    """The demonstration's, with more in the ID.4's battery above its reserve."""
    world = demo_world()
    full = replace(world.batteries[CAR_A], energy_wh=RESERVE_WH + SPARE_WH)
    return replace(world, batteries={**world.batteries, CAR_A: full})


@asynccontextmanager
async def town(
    *places: str,
    owners: Mapping[str, Mapping[str, Any]] | None = None,
    bearers: Mapping[str, Transport] | None = None,
    networks: Sequence[MemoryNetwork] = (),
    node: Mapping[str, Any] | None = None,
    speed: int = SPEED,
    **air: Any,
) -> AsyncIterator[Town]:
    """Run the nodes of these places. owners: limits in place of the cast's; bearers: other ones than the network, by
    place; networks: several, in place of one; node: what the configurations have otherwise; air: what `MemoryNetwork`
    takes."""
    directory = Path(tempfile.mkdtemp(prefix="town-"))  # a socket's path must be short
    try:
        async with AsyncExitStack() as stack:
            clock = Clock(speed, EVENING_MS, int(time.time() * 1000))
            socket = directory / "plant.sock"
            plant = Plant(_world(), lambda entry: None)
            await stack.enter_async_context(serve_plant(plant, socket, clock.wall_ms, speed))
            access = await stack.enter_async_context(connect_plant(str(socket)))
            air_or_airs = networks or [MemoryNetwork(7, **air)]
            built = Town(directory, clock, air_or_airs, access, bearers=dict(bearers or {}))
            for place in places:
                prepare(built, place, (owners or {}).get(place, {}), node or {})
                built.nodes[place] = await stack.enter_async_context(node_of(built, place))
            yield built
    finally:
        shutil.rmtree(directory)


def cast_of(place: str) -> Cast:
    return next(each for each in CAST if each.place == place)


def prepare(
    built: Town, place: str, owner: Mapping[str, Any] | None = None, node: Mapping[str, Any] | None = None
) -> None:
    """A data directory for a node, not yet running."""
    part = cast_of(place)
    data = built.data(place)
    data.mkdir(mode=0o700)
    create_identity(data)
    changed = replace(part, owner={**part.owner, **(owner or {})})
    config = configuration(changed, built.directory / "plant.sock", built.clock)
    config["node"] |= node or {}
    (data / CONFIG_FILE).write_text(to_toml(config))


@asynccontextmanager
async def node_of(built: Town, place: str) -> AsyncIterator[Node]:
    """The node of a prepared place, over the town's networks."""
    other = built.bearers.get(place)
    bearers = [each.transport(place) for each in built.networks] if other is None else [other]
    async with open_node(built.data(place), {each.name: each for each in bearers}) as node:
        yield node


@dataclass(slots=True)
class Stranger:
    """A peer that says whatever a test likes: its own key, its own ledger, the real secure link."""

    identity: Identity
    books: Books
    links: Links
    transport: MemoryTransport

    async def dial(self, place: str, *items: Item, key: bytes | None = None) -> tuple[DialledLink, RawItems]:
        """Open a link by XX, or by IK where the key is given, saying these items with the greeting."""
        return await self.links.dial("memory", place, key, lambda _: items)

    async def say(self, link: DialledLink, plaintext: bytes) -> bytes:
        """One exchange of any bytes inside the sealed link."""
        answer = await link.raw.request(link.session.seal(plaintext), timeout_ms=5_000)
        return link.session.open(answer)


@asynccontextmanager
async def stranger(
    built: Town, name: str = "stranger", visibility: Visibility = Visibility.CLOSED
) -> AsyncIterator[Stranger]:
    """Somebody with a valid key and no manners; one who is visible accepts links and answers nothing."""
    data = built.directory / name
    data.mkdir()
    identity = create_identity(data)
    transport = built.network.transport(name)
    with Writer(lambda: Ledger.open(data / DATABASE_FILE, identity.signer, posting_rule=posting_rule)) as writer:
        books = Books(writer, built.clock)
        head = await books.run(lambda transaction: transaction.head())
        assert head is not None
        epoch = head.entry.epoch

        async def greet(peer: bytes | None) -> Greeting:
            return Greeting(Hello(electrical=_ELECTRICAL.record(), epoch=epoch, holds=_NOTHING))

        async def serve(link: AcceptedLink, items: RawItems) -> Sequence[Item]:
            return ()

        links = Links(
            identity,
            {"memory": transport},
            built.clock,
            EventLog(built.clock),
            greet=greet,
            serve=serve,
            known=lambda peer: False,
            visibility=visibility,
        )
        async with links.serving():
            yield Stranger(identity, books, links, transport)


_NOTHING: tuple[Head, ...] = ()
_ELECTRICAL = ElectricalSection(**cast_of("car_b").electrical)


@dataclass(slots=True)
class Deal:
    """A stranger's request to a provider, as far as it got."""

    who: Stranger
    link: DialledLink
    letter: Letter
    request: Request
    answer: Item
    talk: Talk

    @property
    def id(self) -> bytes:
        return self.request.request_id

    def read(self, raw: list[Any]) -> Item:
        """An item of the provider's answer."""
        return read(raw, self.link.context(self.who.identity.public, self.id, self.talk.said))

    async def ask(self, *items: Item) -> list[Item]:
        """One exchange in this session; the provider's entries are kept in the stranger's ledger."""
        for said in items:
            self.talk.say(said)
        answer = [self.read(raw) for raw in await self.link.ask(items)]
        for item in answer:
            if isinstance(item, Link):
                await self.who.books.receive(item)
        return answer

    async def entry(self, message: EntryBody, answers: bytes) -> Link:
        """An entry of the stranger's chain in this trade, not yet sent."""
        letters = (self.letter, self.answer) if isinstance(self.answer, Letter) else (self.letter,)
        peer = self.request.provider
        return await self.who.books.append(peer, self.id, message, answers, letters=letters, asked=True)

    async def accept(self) -> Link:
        """The Accept of the offer, not yet sent."""
        return await self.entry(Accept(peer=self.request.provider, at_s=0, currency="EUR"), self.answer.digest)


async def propose(built: Town, who: Stranger, place: str, wanted: Wish, *, by_key: bool = True) -> Deal:
    """Ask a provider as a well-behaved client would; the deal holds its offer or refusal."""
    request = wanted.request_to(built.key(place), secrets.token_bytes(16))
    letter = sign_letter(who.identity.signer, request)
    link, items = await who.dial(place, letter, key=built.key(place) if by_key else None)
    context = link.context(who.identity.public, request.request_id)
    return Deal(who, link, letter, request, read(items[0], context), Talk())
