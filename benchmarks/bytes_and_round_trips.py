"""Claim: signed, encrypted messages take no more bytes than the deliverable's unsigned ones in clear, and a set-up two
round trips between known peers, three between strangers.

UDP payload, counted by a relay between two nodes that trade over CoAP on loopback. The messages of that trade are then
sent once more, each in a datagram of its own, over a real pair of links. Beside: FLOW deliverable D3.1, Table 5, and
the budgets of the protocol.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from benchmarks.report import Row, Table, publish
from benchmarks.wire import BARE, HOST, KEYS, Datagram, Relay, Tap, coap
from ledger.signing import Signer
from market.errors import Reason
from market.terms import Hello, Offer, PriceKind, PriceStep, Start, Stop
from tests.support.commands import free_port
from tests.support.node_pair import Town, town, wish
from transports.secure import Visibility
from v2xnode.cli.demo.world import CAR_A, CAR_B, EVENING_MS
from v2xnode.clock import Clock, real_clock
from v2xnode.envelope import Item, Letter, Link, Place, Plain, in_full, place_of, sign_letter
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import AcceptedLink, DialledLink, Greeting, Links, RawItems

NAME = "bytes_and_round_trips"
TABLE_5 = {"Request": 105, "Offer": 315, "Confirm": 54, "Start": 104, "Stop": 104, "Status": 72}
"""D3.1, Table 5, by what each is for: power request, parameters, acknowledgement, initiate, terminate, level update.
Its second request of 165 bytes asks for what our Request and Hello tell already."""
TABLE_5_SET_UP = 105 + 54 + 165 + 315 + 104
ENERGY_WH = 40
SPEED = 5
"""World seconds a real second."""
NOT_HELD, AGAIN = "entry before it not held", "sent again"


# a whole trade


@dataclass(frozen=True, slots=True)
class Recorded:
    """One trade as the relay saw it: names and datagrams in order."""

    named: tuple[tuple[str, Datagram], ...]

    def set_up(self) -> list[tuple[str, Datagram]]:
        """From the first byte to Start."""
        last = next(number for number, (name, _) in enumerate(self.named) if Start.__name__ in name.split(" + "))
        return list(self.named[: last + 1])

    @property
    def round_trips(self) -> int:
        """Frames that the client sent until Start, each counted once however often it was repeated."""
        asked = [datagram.data for name, datagram in self.set_up() if datagram.to_provider and name != BARE]
        return len(set(asked))


async def record(energy_wh: int = ENERGY_WH, speed: int = SPEED) -> tuple[Recorded, Recorded, Tap]:
    """A trade between strangers, then one between the two that know each other; and what they said in the second."""
    port, discovery = free_port(), free_port()
    tap, relay = Tap(), Relay(port)
    bearers = {CAR_A: tap.wrap(coap(port, discovery)), CAR_B: tap.wrap(coap(free_port(), discovery))}
    owners = {CAR_A: {"session_fee_micro": 0}}
    async with relay.running(), town(CAR_A, CAR_B, owners=owners, bearers=bearers, speed=speed) as world:
        with tap.open():
            await world.plug()
            strangers = await _one(world, relay, tap, energy_wh, "")
            await world.heard(CAR_B, "told")  # else that is counted too
            known = await _one(world, relay, tap, energy_wh, world.key(CAR_A).hex())
    return strangers, known, tap


async def _one(world: Town, relay: Relay, tap: Tap, energy_wh: int, peer: str) -> Recorded:
    relay.passed.clear()
    address = f"coap:{HOST}:{relay.port}"
    trade = await world.nodes[CAR_B].request(wish(energy_wh), address=address, peer=peer)
    if trade["state"] != "settled":
        raise RuntimeError(f"the trade ended {trade['state']}: {trade['sentence']}")
    return Recorded(tuple((tap.name(each), each) for each in relay.passed))


# each message alone


@dataclass
class Stage:
    """Two linked parties with a relay between them; the second answers what it is told to."""

    relay: Relay
    dialled: DialledLink | None = None
    accepted: AcceptedLink | None = None
    _answer: Sequence[Item] = ()

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        self.accepted = link
        return self._answer

    async def exchange(self, asked: Sequence[Item], answered: Sequence[Item], *, held: bool = True) -> tuple[int, int]:
        """Bytes to the provider and back for one question and its answer. held: of an entry's chain, its receiver
        holds all that was before."""
        assert self.dialled is not None
        assert self.accepted is not None
        self._answer = answered
        self.dialled.ours = _before(asked) if held else None
        self.accepted.ours = _before(answered) if held else None
        self.relay.passed.clear()
        await self.dialled.ask(asked)
        return self._passed(to_provider=True), self._passed(to_provider=False)

    async def push(self, items: Sequence[Item], *, confirmed: bool = False) -> int:
        """Bytes to the client for one push."""
        assert self.dialled is not None
        async with self.dialled.pushes() as pushes:
            await anext(pushes)  # the opening answer
            assert self.accepted is not None
            self.accepted.ours = _before(items)
            self.relay.passed.clear()
            self.accepted.push(items, confirmed=confirmed)
            await anext(pushes)
            return self._passed(to_provider=False)

    def _passed(self, *, to_provider: bool) -> int:
        return sum(len(each.data) for each in self.relay.passed if each.to_provider is to_provider)


def _before(items: Sequence[Item]) -> Place | None:
    """The place before the first entry."""
    places = (place_of(item.signed.entry) for item in items if isinstance(item, Link))
    return next(((epoch, seq - 1) for epoch, seq in places), None)


@asynccontextmanager
async def stage(hello: Hello) -> AsyncIterator[Stage]:
    """Real links over CoAP on loopback, greeted and established."""
    port, discovery = free_port(), free_port()
    relay = Relay(port)
    built = Stage(relay)
    provider, client = (Identity.from_seed(secrets.token_bytes(32)) for _ in range(2))
    async with relay.running():
        selling = _links(provider, port, discovery, hello, built)
        buying = _links(client, free_port(), discovery, hello, built)
        async with selling.serving(), buying.serving():
            built.dialled, _ = await buying.dial("coap", f"{HOST}:{relay.port}", provider.public, lambda peer: ())
            try:
                await built.dialled.ask([])
                yield built
            finally:
                await built.dialled.aclose()


def _links(who: Identity, port: int, discovery: int, hello: Hello, built: Stage) -> Links:
    async def greet(_: bytes | None) -> Greeting:
        return Greeting(hello)

    return Links(
        who,
        {"coap": coap(port, discovery)},
        real_clock(),
        EventLog(Clock(1, EVENING_MS, 0)),
        greet=greet,
        serve=built.serve,
        known=lambda _: True,
        visibility=Visibility.OPEN,
    )


async def alone(items: dict[str, Item]) -> dict[str, int]:
    """Send each message of a trade in a datagram of its own; its bytes, CoAP and seal included."""
    hello = items["Hello"].message
    assert isinstance(hello, Hello)
    found: dict[str, int] = {}
    async with stage(hello) as built:
        for (asked, asks), (answered, answers) in _questions(items):
            sizes = await built.exchange(asks, answers)
            found |= {name: size for name, size in zip((asked, answered), sizes, strict=True) if name}
        accept, confirm = items["Accept"], items["Confirm"]
        sizes = await built.exchange([accept], [confirm], held=False)
        found |= zip((f"Accept, {NOT_HELD}", f"Confirm, {NOT_HELD}"), sizes, strict=True)
        sizes = await built.exchange([in_full(accept)], [in_full(confirm)], held=False)
        found |= zip((f"Accept, {AGAIN}", f"Confirm, {AGAIN}"), sizes, strict=True)
        found["Status"] = await built.push([items["Status"]])
        found["Interval"] = await built.push([items["Interval"]])
    return found


def _questions(items: dict[str, Item]) -> list[tuple[tuple[str, Sequence[Item]], tuple[str, Sequence[Item]]]]:
    """Who asks what and is answered what, each with its name; no name for what is measured elsewhere."""

    def one(name: str) -> Sequence[Item]:
        return (items[name],)

    stop = (Plain(Stop(9, Reason.STOPPED_BY_OWNER)),)
    return [
        (("Request", one("Request")), ("Offer", one("Offer"))),
        (("", ()), ("Offer, time of use", (_time_of_use(items["Offer"]),))),
        (("Accept", one("Accept")), ("Confirm", one("Confirm"))),
        (("Ready", one("Ready")), ("Start", one("Start"))),
        (("Plug", one("Plug")), ("", ())),
        (("Stop", stop), ("Empty answer", ())),
        (("Alive", one("Alive")), ("", ())),
        (("Receipt", one("Receipt")), ("", ())),
        (("Close", one("Close")), ("Closed", one("Closed"))),
    ]


def _time_of_use(item: Item) -> Letter:
    """The same offer with a day's three prices."""
    offer = item.message
    assert isinstance(offer, Offer)
    midnight_min = EVENING_MS // 86_400_000 * 1_440
    edges = ((360, 280_000), (1_020, 350_000), (1_320, 220_000))
    steps = tuple(PriceStep(midnight_min + minute, price) for minute, price in edges)
    changed = replace(offer, price_kind=PriceKind.TIME_OF_USE, price_steps=steps)
    return sign_letter(Signer(secrets.token_bytes(32)), changed)


# tables


BUDGETS = {
    "Request": 150,
    "Offer": 160,
    "Offer, time of use": 200,
    "Accept": 115,
    "Confirm": 115,
    f"Accept, {NOT_HELD}": 150,
    f"Confirm, {NOT_HELD}": 150,
    "Start": 54,
    "Stop": 54,
    "Status": 54,
    "Alive": 50,
    "Empty answer": 40,
}
ROUND_TRIPS = {"IK": 2, "XX": 3}


def tables(strangers: Recorded, known: Recorded, sizes: dict[str, int]) -> list[Table]:
    """What was counted, beside what the deliverable and the budgets say."""
    return [_set_ups(strangers, known), _messages(sizes), _whole(known)]


def _set_ups(strangers: Recorded, known: Recorded) -> Table:
    rows = []
    for name, trade in (("IK", known), ("XX", strangers)):
        who = "peers that know each other (IK)" if name == "IK" else "strangers (XX)"
        parts = trade.set_up()
        limit = TABLE_5_SET_UP if name == "IK" else None
        total = sum(len(each.data) for _, each in parts)
        rows.append(Row(f"set-up, {who}", "B", total, TABLE_5_SET_UP, limit))
        rows.append(Row("  round trips to Start", "", trade.round_trips, None, ROUND_TRIPS[name]))
        rows += [Row(f"  {'->' if each.to_provider else '<-'} {part}", "B", len(each.data)) for part, each in parts]
    note = f"{KEYS}: the handshake's own values. -> from the client. A fixed price, the pair plugged in."
    return Table("Set-up, first byte to Start, signed and encrypted (UDP payload)", "D3.1 T5", tuple(rows), note)


def _messages(sizes: dict[str, int]) -> Table:
    rows = [
        Row(name, "B", size, TABLE_5.get(name.partition(",")[0]), BUDGETS.get(name)) for name, size in sizes.items()
    ]
    note = "Sealed, with CoAP's own bytes; sent for the first time, where nothing else is said."
    return Table("Each message alone in a datagram (UDP payload)", "D3.1 T5", tuple(rows), note)


def _whole(trade: Recorded) -> Table:
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for name, each in trade.named:
        part = f"{'->' if each.to_provider else '<-'} {name}"
        count[part] += 1
        size[part] += len(each.data)
    rows = [Row(f"{part}, {count[part]}x", "B", total) for part, total in size.most_common()]
    rows.append(Row(f"all {sum(count.values())} datagrams", "B", sum(size.values())))
    note = f"{BARE}: acknowledgements without a frame."
    return Table(f"One whole trade of {ENERGY_WH} Wh between known peers, by content", "", tuple(rows), note)


async def measure(energy_wh: int = ENERGY_WH) -> list[Table]:
    """All of it, once: bytes don't vary with the machine's speed."""
    strangers, known, tap = await record(energy_wh)
    return tables(strangers, known, await alone(tap.items))


if __name__ == "__main__":
    publish(NAME, asyncio.run(measure()))
