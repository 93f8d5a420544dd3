"""The bytes of a set-up on the wire, counted at real sockets (UDP payload) beside the budgets of the protocol.

Two cars with one DC connector each, a fixed price without a fee, the cable plugged in.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from tests.support.commands import free_port
from tests.support.node_pair import Town, town, wish
from transports.coap.settings import CoapSettings
from transports.coap.transport import CoapTransport
from transports.interface import Announcement, Handler, Link, Sighting

CAR_A, CAR_B = "car_a", "car_b"
SET_UP = 743
"""What the deliverable's messages take in clear and unsigned (D3.1, Table 5)."""
STRANGERS = SET_UP + 145
"""XX: 82 bytes of handshake and CoAP more, and `prev` spelled out twice."""


@dataclass
class Exchange:
    """One question and its answer, in bytes of UDP payload."""

    asked: int
    answered: int


@dataclass
class CountedLink:
    """A link that notes what each exchange took at the socket."""

    inner: Link
    transport: "Counted"

    @property
    def bearer(self) -> str:
        return self.inner.bearer

    @property
    def address(self) -> str:
        return self.inner.address

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        before = self.transport.counters()
        answer = await self.inner.request(frame, timeout_ms=timeout_ms)
        after = self.transport.counters()
        asked, answered = (after[name] - before[name] for name in ("bytes_sent", "bytes_received"))
        self.transport.exchanges.append(Exchange(asked, answered))
        return answer

    def subscribe(self, frame: bytes, *, timeout_ms: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.inner.subscribe(frame, timeout_ms=timeout_ms)

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass
class Counted:
    """CoAP, with every exchange of its links noted."""

    inner: CoapTransport
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    def serving(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        return self.inner.serving(handler)

    def announce(self, announcement: Announcement | None) -> None:
        self.inner.announce(announcement)

    def discover(self, *, window_ms: int) -> AsyncIterator[Sighting]:
        return self.inner.discover(window_ms=window_ms)

    async def dial(self, address: str) -> Link:
        return CountedLink(await self.inner.dial(address), self)

    def counters(self) -> dict[str, int]:
        return self.inner.counters()


def coap(port: int) -> CoapTransport:
    return CoapTransport(CoapSettings(host="127.0.0.1", port=port, loopback=True, discovery_port=free_port()))


async def set_up(world: Town, counted: Counted, address: str, peer: str = "") -> list[Exchange]:
    """One small trade; the exchanges of its set-up."""
    counted.exchanges.clear()
    trade = await world.nodes[CAR_B].request(wish(20), address=address, peer=peer)
    assert trade["state"] == "settled"
    return counted.exchanges[: trade["setup_round_trips"]]


async def test_a_set_up_takes_no_more_than_the_deliverables_messages_in_clear() -> None:
    port = free_port()
    counted = Counted(coap(free_port()))
    owners = {CAR_A: {"session_fee_micro": 0}}
    async with town(CAR_A, CAR_B, owners=owners, bearers={CAR_A: coap(port), CAR_B: counted}) as world:
        await world.plug()
        strangers = await set_up(world, counted, f"coap:127.0.0.1:{port}")
        known = await set_up(world, counted, f"coap:127.0.0.1:{port}", world.key(CAR_A).hex())
    assert (len(strangers), len(known)) == (3, 2)
    total = [sum(each.asked + each.answered for each in exchanges) for exchanges in (strangers, known)]
    print(f"XX {total[0]} bytes {strangers}, IK {total[1]} bytes {known}")
    assert total[0] <= STRANGERS
    assert total[1] <= SET_UP
    accepted = known[1]
    assert max(accepted.asked, accepted.answered) <= 115 + 17, "an entry of 115 bytes, with Ready or Start beside it"
