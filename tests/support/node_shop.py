"""One side of trading without a node around it: real books, a real plant in this process, a clock that can be set."""

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ledger.keys.key_history import KeyHistory
from ledger.store.ledger import Ledger
from ledger.store.writer import Writer
from market.errors import Refusal
from market.negotiation import Confirmed
from market.terms import Accept, Electrical, EntryBody, Hello, MessageType, Profile, Request
from market.units import Role, ServiceBits
from tests.support.market_terms import request
from tests.support.power_harness import make_world
from transports.interface import IDENTIFIER_BYTES, Announcement, Sighting
from transports.memory import MemoryNetwork
from transports.secure import Accepted, Acceptor, Dialer, Visibility
from v2xnode.clock import Clock
from v2xnode.config import Config, parse_config
from v2xnode.devices.errors import DeviceUnreachable
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.simulated import LocalPlant, simulated_devices
from v2xnode.discovery import Heard
from v2xnode.envelope import Item, Letter, Link, is_entry, pack, read, sign_letter, unpack
from v2xnode.events import Event, EventLog
from v2xnode.identity import Identity
from v2xnode.links import AcceptedLink, Greeting, Links, RawItems
from v2xnode.links.recalling import Meeting, NoChains
from v2xnode.paths import Connector, Connectors
from v2xnode.settling.money import posting_rule
from v2xnode.toml import to_toml
from v2xnode.trading.acquaintances import Acquaintances
from v2xnode.trading.asking import Wish
from v2xnode.trading.books import Books, Verdict
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.need import Need
from v2xnode.trading.opening import Workshop
from v2xnode.trading.owner import Asker, Owner
from v2xnode.trading.purse import Purse
from v2xnode.trading.selling import Selling
from v2xnode.trading.whereabouts import Whereabouts

PROFILE = Profile.DC_CONVERTER
EVENING_MS = 1_768_415_520_000
"""2026-01-14, 18:32 UTC."""
STORED_WH, CAPACITY_WH = 40_000, 60_000
"""The provider's battery."""
ELECTRICAL: Mapping[str, Any] = {
    "connectors": ["CCS2", "CHADEMO"],
    "profiles": [PROFILE.name],
    "voltage_min_mv": 200_000,
    "voltage_max_mv": 500_000,
    "continuous_va": 11_000,
}


def configured(owner: Mapping[str, Any] | None = None, **node: Any) -> Config:
    """A provider of V2V that serves everybody, with these limits."""
    limits = {"provides": ["V2V"], "strangers": "yes", "reserve_permille": 100, **(owner or {})}
    return parse_config(to_toml({"node": {"name": "shop", **node}, "electrical": dict(ELECTRICAL), "owner": limits}))


class Watch:
    """Real time from a set moment on, that a test may move."""

    def __init__(self, at_ms: int = EVENING_MS) -> None:
        self.set(at_ms)
        self.clock = Clock(1, 0, 0, self.now_s, self.now_s)

    def set(self, at_ms: int) -> None:
        self._ahead_s = at_ms / 1000 - time.monotonic()

    def skip_ms(self, span_ms: int) -> None:
        self._ahead_s += span_ms / 1000

    def now_s(self) -> float:
        return time.monotonic() + self._ahead_s


class House(LocalPlant):
    """The plant, until its devices fall silent."""

    silent = False

    async def ask(self, request: Mapping[str, Any]) -> Any:
        if self.silent:
            raise DeviceUnreachable("It does not answer.")
        return await super().ask(request)


async def open_door(items: RawItems) -> None:
    """Nothing happens before a frame is served."""


@dataclass(slots=True)
class Shop:
    """A provider or a client: everything that its trading stands on."""

    identity: Identity
    config: Config
    watch: Watch
    books: Books
    events: EventLog
    house: House
    connectors: Connectors
    acquaintances: Acquaintances
    owner: Owner
    workshop: Workshop
    selling: dict[bytes, Selling] = field(default_factory=dict)
    door: Callable[[RawItems], Awaitable[None]] = open_door
    """Awaited with each frame's items before they are served."""

    @property
    def key(self) -> bytes:
        return self.identity.public

    @property
    def electrical(self) -> Electrical:
        return self.config.electrical.record()

    def told(self, kind: str) -> list[Event]:
        return self.events.since(0, kind)

    async def entry(self, message: EntryBody, answers: bytes, *letters: Letter, request_id: bytes) -> Link:
        """An entry of this side's chain, not yet sent."""
        return await self.books.append(b"", request_id, message, answers, letters=letters, asked=True)

    async def hello(self, peer: bytes | None = None) -> Hello:
        head = await self.books.run(lambda view: view.head())
        assert head is not None
        return Hello(electrical=self.electrical, epoch=head.entry.epoch)

    async def greet(self, peer: bytes | None = None) -> Greeting:
        return Greeting(await self.hello(peer))

    def sell(self, link: AcceptedLink, letter: Letter) -> Selling:
        """This side's answer to a request, by its owner's policy."""
        asked = letter.message
        assert isinstance(asked, Request)
        asker = Asker(link.peer, link.hello.electrical, link.hello.currency)

        def recheck(view: Any, offer: Any) -> Verdict:
            return self.owner.recheck(view, asked, offer, asker)

        def tell(refusal: Refusal) -> None:
            self.owner.tell_refusal(asked.request_id, link.peer, refusal)

        def begin(selling: Selling, confirmed: Confirmed) -> Delivering:
            return self.workshop.for_provider(selling, confirmed)

        async def quote(counter: Any) -> Any:
            return await self.owner.quote(asked, counter, asker)

        return Selling(
            asked, letter, link, self.identity, self.books, self.watch.clock, self.events, quote, recheck, tell, begin
        )

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """Requests are answered, and what follows them; a Ready is not, since no delivery runs here."""
        await self.door(items)
        if items[0][0] != MessageType.REQUEST:
            rest = [each for each in items if is_entry(each) or each[0] != MessageType.READY]
            return await self.selling[link.session_id].serve(link, rest)
        said = read(items[0], link.context(self.key, None))
        assert isinstance(said, Letter)
        selling = self.sell(link, said)
        link.session_id = selling.request.request_id
        self.selling[link.session_id] = selling
        return await selling.open()

    @asynccontextmanager
    async def on(self, network: MemoryNetwork, place: str, *others: MemoryNetwork) -> AsyncIterator[Links]:
        """In reach of others, under a name, on these networks."""
        links = Links(
            self.identity,
            {each.bearer: each.transport(place) for each in (network, *others)},
            self.watch.clock,
            self.events,
            greet=self.greet,
            serve=self.serve,
            known=lambda peer: True,
            visibility=Visibility.OPEN,
        )
        async with links.serving():
            yield links

    def need(self, wish: Wish, links: Links, **more: Any) -> Need:
        places = Whereabouts(self.books, self.events, ("memory", "ble"), self.watch.clock.link_ms)
        return Need(
            wish,
            self.identity,
            links,
            self.books,
            self.watch.clock,
            self.events,
            self.electrical,
            "EUR",
            places,
            Purse(self.books, self.watch.clock, self.events, "EUR").to_show,
            **more,
        )


def seen(place: str, bearer: str = "memory", peer: bytes | None = None) -> Heard:
    """A provider at a place; peer: whose identifier it seems to be."""
    return Heard(Sighting(bearer, place, Announcement(0, 0, bytes(IDENTIFIER_BYTES)), 0), peer)


@asynccontextmanager
async def shop(
    seed: int = 1,
    owner: Mapping[str, Any] | None = None,
    *,
    role: Role = Role.PROVIDER,
    books: Books | None = None,
    connectors: Sequence[str] | None = None,
    **node: Any,
) -> AsyncIterator[Shop]:
    """A side with these limits; on books of somebody else where they are given."""
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        async with AsyncExitStack() as stack:
            identity, watch = Identity.from_seed(bytes([seed]) * 32), Watch()
            if books is None:
                path = Path(directory) / "node.db"
                writer = Writer(lambda: Ledger.open(path, identity.signer, posting_rule=posting_rule))
                books = Books(stack.enter_context(writer), watch.clock)
            yield _furnished(identity, watch, books, configured(owner, **node), role, connectors)


def _furnished(
    identity: Identity, watch: Watch, books: Books, config: Config, role: Role, plugs: Sequence[str] | None
) -> Shop:
    if plugs is not None:
        config = config.model_copy(
            update={"electrical": config.electrical.model_copy(update={"connectors": list(plugs)})}
        )
    began_s = time.monotonic()
    plant = Plant(make_world(PROFILE, energy_wh=STORED_WH), lambda entry: None)
    house = House(plant, lambda: int((time.monotonic() - began_s) * 1000))
    name = "p1" if role is Role.PROVIDER else "c1"
    devices = simulated_devices(house, charger=name, meter=name, battery=name)
    connectors = Connectors([Connector(PROFILE, role, devices)])
    events, known = EventLog(watch.clock), Acquaintances(books)
    owner = Owner(config, watch.clock, events, books, connectors, known)
    workshop = Workshop(identity, config.electrical.record(), connectors, books, watch.clock, events, known.met)
    return Shop(identity, config, watch, books, events, house, connectors, known, owner, workshop)


async def linked(client: Shop, provider: Shop) -> AcceptedLink:
    """The provider's end of a link that the client has dialled."""
    acceptor = Acceptor(provider.identity.seed, visibility=Visibility.OPEN, known=lambda peer: True)
    opened = acceptor.receive(Dialer(client.identity.seed, remote=provider.key).first(b""), "memory:client", 0)
    assert isinstance(opened, Accepted)
    meeting = Meeting(NoChains(), KeyHistory(client.key))
    return AcceptedLink("memory", opened.session, await client.hello(), meeting)


@dataclass(slots=True)
class Counter:
    """A client at a provider's counter: its request, and how the provider sells."""

    client: Shop
    provider: Shop
    letter: Letter
    selling: Selling
    offer: Letter

    @property
    def id(self) -> bytes:
        return self.selling.request.request_id

    async def accept(self, at_s: int = 0) -> Link:
        """The Accept of the offer, not yet sent."""
        said = Accept(self.provider.key, at_s, "EUR")
        return await self.client.entry(said, self.offer.digest, self.letter, self.offer, request_id=self.id)

    async def say(self, *items: Item) -> list[Item]:
        """One frame of the client's: the answer's items."""
        return list(await self.selling.serve(self.selling.link, raw(*items)))

    async def confirmed(self) -> Delivering:
        """Accept and Confirm: the delivery, not yet running."""
        await self.say(await self.accept())
        assert self.selling.delivering is not None
        return self.selling.delivering


def raw(*items: Item) -> RawItems:
    """Items as they come from the wire."""
    return unpack(pack(items))


async def at_counter(client: Shop, provider: Shop, **changes: Any) -> Counter:
    """A request that the provider has answered with an offer."""
    asked = sign_letter(client.identity.signer, request(provider=provider.key, **changes))
    selling = provider.sell(await linked(client, provider), asked)
    [offer] = await selling.open()
    assert isinstance(offer, Letter), offer
    return Counter(client, provider, asked, selling, offer)


def stop_selling(side: Shop) -> None:
    """The owner switches every service off, from now on."""
    side.owner.policy = replace(side.owner.policy, services=ServiceBits(0))
