"""Two nodes' links with nothing behind them but a note of what they were asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from market.terms import Head, Hello, Message
from transports.interface import Transport
from transports.memory import MemoryNetwork, MemoryTransport
from transports.secure import Visibility
from v2xnode.clock import real_clock
from v2xnode.config import ElectricalSection
from v2xnode.envelope import Item, Reading, read
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import AcceptedLink, Greeting, Links, RawItems
from v2xnode.links.recalling import Chains

CLOCK = real_clock()
ELECTRICAL = ElectricalSection(profiles=["DC_CONVERTER"]).record()


def identity(seed: int) -> Identity:
    return Identity.from_seed(bytes([seed]) * 32)


@dataclass(slots=True)
class Door:
    """One node's links, and what it was asked."""

    identity: Identity
    transport: MemoryTransport
    events: EventLog
    versions: tuple[int, ...] = (1,)
    holds: tuple[Head, ...] = ()
    answer: Callable[[AcceptedLink, RawItems], Sequence[Item]] = lambda link, items: ()
    asked: list[Message] = field(default_factory=list)
    links: Links = field(init=False)
    accepted: list[AcceptedLink] = field(default_factory=list)

    @property
    def node(self) -> bytes:
        return self.identity.public

    async def greet(self, peer: bytes | None) -> Greeting:
        key = self.identity.signer.public
        named = b"" if key == self.node else self.node
        epoch = self.node[:8]
        return Greeting(Hello(versions=self.versions, electrical=ELECTRICAL, epoch=epoch, holds=self.holds, node=named))

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        context = Reading(self.identity.public, link.peer, link.hello.epoch, bytes(16), lambda *_: None)
        self.asked += [read(raw, context).message for raw in items]
        self.accepted.append(link)
        return self.answer(link, items)


def door(
    network: MemoryNetwork,
    name: str,
    identity: Identity,
    visibility: Visibility = Visibility.OPEN,
    known: Sequence[bytes] = (),
    chains: Chains | None = None,
) -> Door:
    """A node's links over the network, not yet serving."""
    transport = network.transport(name)
    made = Door(identity, transport, EventLog(CLOCK))
    transports: Mapping[str, Transport] = {"memory": transport}
    made.links = Links(
        made.identity,
        transports,
        CLOCK,
        made.events,
        greet=made.greet,
        serve=made.serve,
        known=lambda key: key in known,
        visibility=visibility,
        chains=chains,
    )
    return made
