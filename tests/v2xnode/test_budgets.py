"""The bytes of a set-up on the wire, counted at real sockets (UDP payload) beside the budgets of the protocol; and of
each message alone, sealed and in a CoAP datagram.

Two cars with one DC connector each, a fixed price without a fee, the cable plugged in.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ledger.entry import VERSION, Entry, commit, sign_entry, trade_salt
from market.errors import Reason
from market.terms import (
    EPOCH_HINT_BYTES,
    Accept,
    Alive,
    Confirm,
    EntryBody,
    PowerState,
    PriceKind,
    PriceStep,
    Start,
    Status,
    Stop,
)
from tests.support.commands import free_port
from tests.support.market_terms import offer, request
from tests.support.node_pair import Town, town, wish
from tests.support.tapped import Tapped
from transports.coap.address import TRADE_PATH
from transports.coap.packet import TOKEN_BYTES, Code, Kind, Packet, encode
from transports.coap.settings import CoapSettings
from transports.coap.transport import CoapTransport
from transports.secure import Accepted, Acceptor, Dialer, Opened, Session, Visibility
from v2xnode.envelope import Item, Place, Plain, body_of, in_full, pack, sign_letter
from v2xnode.envelope import Link as EntryItem
from v2xnode.identity import Identity

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


class Counter:
    """Notes what each exchange of a node's links took at its sockets."""

    def __init__(self, bearer: CoapTransport) -> None:
        self.tapped = Tapped(bearer, self._count)
        self.exchanges: list[Exchange] = []

    async def _count(self, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        before = self.tapped.counters()
        answer = await ask()
        after = self.tapped.counters()
        asked, answered = (after[name] - before[name] for name in ("bytes_sent", "bytes_received"))
        self.exchanges.append(Exchange(asked, answered))
        return answer


def coap(port: int) -> CoapTransport:
    return CoapTransport(CoapSettings(host="127.0.0.1", port=port, loopback=True, discovery_port=free_port()))


async def set_up(world: Town, counted: Counter, address: str, peer: str = "") -> list[Exchange]:
    """One small trade; the exchanges of its set-up."""
    counted.exchanges.clear()
    trade = await world.nodes[CAR_B].request(wish(20), address=address, peer=peer)
    assert trade["state"] == "settled"
    return counted.exchanges[: trade["setup_round_trips"]]


async def test_a_set_up_takes_no_more_than_the_deliverables_messages_in_clear() -> None:
    port = free_port()
    counted = Counter(coap(free_port()))
    owners = {CAR_A: {"session_fee_micro": 0}}
    async with town(CAR_A, CAR_B, owners=owners, bearers={CAR_A: coap(port), CAR_B: counted.tapped}) as world:
        await world.plug()
        strangers = await set_up(world, counted, f"coap:127.0.0.1:{port}")
        await world.heard(CAR_B, "told")
        known = await set_up(world, counted, f"coap:127.0.0.1:{port}", world.key(CAR_A).hex())
    assert (len(strangers), len(known)) == (3, 2)
    total = [sum(each.asked + each.answered for each in exchanges) for exchanges in (strangers, known)]
    print(f"XX {total[0]} bytes {strangers}, IK {total[1]} bytes {known}")
    assert total[0] <= STRANGERS
    assert total[1] <= SET_UP
    accepted = known[1]
    assert max(accepted.asked, accepted.answered) <= 115 + 17, "an entry of 115 bytes, with Ready or Start beside it"


# each message alone

CLIENT, PROVIDER = Identity.from_seed(b"\x01" * 32), Identity.from_seed(b"\x02" * 32)
REQUEST_ID, EPOCH, EVENING_S = b"r" * 16, b"e" * 8, 1_768_415_520
SEQ = 2**32 - 1
"""More than any chain comes to, and than any session says."""
CONFIRM = Confirm(CLIENT.public, EVENING_S)
HELD: Place = (EPOCH[:EPOCH_HINT_BYTES], SEQ - 1)
DAY = ((29_473_560, 280_000), (29_474_220, 350_000), (29_474_520, 220_000))
"""Three prices of a day: minutes since 1970, millionths per kWh."""


def session() -> Session:
    """A dialer's end of an established link."""
    acceptor = Acceptor(PROVIDER.seed, visibility=Visibility.OPEN, known=lambda _: True)
    dialer = Dialer(CLIENT.seed, remote=PROVIDER.public)
    accepted = acceptor.receive(dialer.first(b""), "memory:client", 0)
    assert isinstance(accepted, Accepted)
    opened = dialer.receive(accepted.reply(b""))
    assert isinstance(opened, Opened)
    return opened.session


def entry(who: Identity, message: EntryBody) -> EntryItem:
    """An entry far into a chain, as it is sent first."""
    kind, body = body_of(message)
    salt = trade_salt(REQUEST_ID, EPOCH, SEQ)
    made = Entry(VERSION, who.public, EPOCH, SEQ, b"p" * 32, kind, b"a" * 32, commit(salt, body))
    signed = sign_entry(who.signer, made, salt=salt, body=body, request_id=REQUEST_ID)
    return EntryItem(message, signed, brief=True)


def asked(*items: Item, held: Place | None = None) -> int:
    """Bytes of a datagram with a question of these items."""
    sealed = session().seal(pack(items, held))
    return len(encode(Packet(Kind.CONFIRMABLE, Code.POST, 1, bytes(TOKEN_BYTES), sealed, path=(TRADE_PATH,))))


def answered(*items: Item, held: Place | None = None) -> int:
    sealed = session().seal(pack(items, held))
    return len(encode(Packet(Kind.ACKNOWLEDGEMENT, Code.CHANGED, 1, bytes(TOKEN_BYTES), sealed)))


def pushed(*items: Item) -> int:
    sealed = session().seal(pack(items))
    return len(encode(Packet(Kind.CONFIRMABLE, Code.CONTENT, 1, bytes(TOKEN_BYTES), sealed, observe=255)))


def sizes() -> dict[str, tuple[int, int]]:
    """What each message takes, and its budget."""
    accept, confirm = entry(CLIENT, Accept(PROVIDER.public, EVENING_S, "EUR")), entry(PROVIDER, CONFIRM)
    by_day = offer(price_kind=PriceKind.TIME_OF_USE, price_steps=tuple(PriceStep(*each) for each in DAY))
    status = Status(10_000, 10_000, 50_000, PowerState.DELIVERING, 500)
    return {
        "Request": (asked(sign_letter(CLIENT.signer, request())), 150),
        "Offer, fixed": (answered(sign_letter(PROVIDER.signer, offer())), 160),
        "Offer, time of use": (answered(sign_letter(PROVIDER.signer, by_day)), 200),
        "Accept": (asked(accept, held=HELD), 115),
        "Confirm": (answered(confirm, held=HELD), 115),
        "Accept, prev not held": (asked(accept), 150),
        "Confirm, prev not held": (answered(confirm), 150),
        "Start": (answered(Plain(Start(SEQ, bytes(8)))), 54),
        "Stop": (asked(Plain(Stop(SEQ, Reason.STOPPED_BY_OWNER))), 54),
        "Status": (pushed(Plain(status)), 54),
        "Alive": (asked(Plain(Alive(10_000, 10_000))), 50),
        "empty answer": (answered(), 40),
    }


def test_each_message_keeps_to_its_budget() -> None:
    found = sizes()
    print({name: size for name, (size, _) in found.items()})
    assert {name: (size, most) for name, (size, most) in found.items() if size > most} == {}


def test_what_is_sent_again_costs_two_hashes_and_their_lengths_more() -> None:
    confirm = entry(PROVIDER, CONFIRM)
    assert answered(in_full(confirm), held=HELD) == answered(confirm, held=HELD) + 32 + 1 + 32 + 1
