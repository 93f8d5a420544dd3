"""One trade between two fixed keys, from its request to its settlement: what the vectors are made from."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from ledger.entry import SignedEntry
from ledger.store.ledger import Ledger
from ledger.store.sqlite import engine_of
from ledger.store.transaction import Transaction
from market.errors import Reason
from market.terms import (
    Accept,
    Alive,
    CheckpointShown,
    Close,
    Closed,
    Confirm,
    Connector,
    Correspond,
    Cosignature,
    Counter,
    Decline,
    Dispute,
    Draw,
    Electrical,
    EntryBody,
    Fee,
    FeeKind,
    Head,
    Hello,
    Interval,
    LossRule,
    Means,
    Message,
    Net,
    NetLine,
    Offer,
    Pause,
    Pay,
    Plug,
    PlugStep,
    PowerLimit,
    PowerState,
    PriceKind,
    PriceStep,
    Profile,
    Ready,
    Recall,
    Recalled,
    Receipt,
    Reject,
    Remembered,
    Request,
    Resolve,
    ResolvingKey,
    Resume,
    Shown,
    Start,
    Status,
    Stop,
    Subscribe,
    Tolerance,
    Void,
)
from market.units import Service, ServiceBits
from v2xnode.entropy import Entropy
from v2xnode.envelope import Letter, Link, body_of, sign_letter
from v2xnode.identity import Identity
from v2xnode.settling.money import posting_rule

AT_S = 1_768_415_520
AT_MS = AT_S * 1_000
REQUEST_ID = bytes(range(16))


def counted(first: int) -> Entropy:
    """Bytes that anybody can make again: 32-bit numbers from `first` on."""
    numbers: Iterator[int] = count(first << 16)

    def draw(size: int) -> bytes:
        return b"".join(next(numbers).to_bytes(4, "big") for _ in range(size // 4 + 1))[:size]

    return draw


PROVIDER = Identity.from_seed(bytes([1]) * 32, counted(1))
CLIENT = Identity.from_seed(bytes([2]) * 32, counted(2))

RECORD = Electrical(
    connectors=(Connector.CCS2,),
    profiles=(Profile.DC_CONVERTER,),
    voltage_min_mv=200_000,
    voltage_max_mv=900_000,
    continuous_va=50_000,
)
REQUEST = Request(
    request_id=REQUEST_ID,
    provider=PROVIDER.public,
    service=Service.V2V,
    energy_wh=500,
    energy_min_wh=1,
    power_max_w=50_000,
    window_ms=600_000,
    price_max_micro_per_kwh=600_000,
)
OFFER = Offer(
    request_id=REQUEST_ID,
    energy_wh=500,
    power_w=11_000,
    profile=Profile.DC_CONVERTER,
    price_steps=(PriceStep(0, 312_500),),
    loss=LossRule(60, 25_000),
    exposure_wh=220,
    tolerance=Tolerance(20, 30_000),
)
TIME_OF_USE = Offer(
    request_id=REQUEST_ID,
    energy_wh=500,
    power_w=11_000,
    profile=Profile.DC_CONVERTER,
    price_kind=PriceKind.TIME_OF_USE,
    price_steps=tuple(PriceStep(29_473_592 + 60 * hour, 200_000 + 50_000 * hour) for hour in range(4)),
    fees=(Fee(FeeKind.SESSION, 20_000),),
    tax_permyriad=1_900,
    loss=LossRule(60, 25_000),
    exposure_wh=220,
    tolerance=Tolerance(20, 30_000),
)
MESSAGES: tuple[Message, ...] = (
    Hello(services=ServiceBits.V2V, electrical=RECORD, epoch=b"\x0e" * 8, holds=(Head(b"\x0f" * 4, 41),)),
    REQUEST,
    OFFER,
    TIME_OF_USE,
    Decline(REQUEST_ID, Reason.BUSY),
    Counter(request_id=REQUEST_ID, number=1, price_max_micro_per_kwh=300_000, energy_wh=400),
    Accept(PROVIDER.public, AT_S, "EUR"),
    Confirm(CLIENT.public, AT_S),
    Reject(CLIENT.public, AT_S, Reason.ENERGY_UNAVAILABLE),
    Void(PROVIDER.public, AT_S, Reason.WITHDRAWN),
    Interval(CLIENT.public, 1, AT_MS, 1_204_651),
    Receipt(PROVIDER.public, 1, 883_109, 100, (31_250,)),
    Dispute(PROVIDER.public, AT_S, 1, 100, 60, 60),
    Resolve(PROVIDER.public, AT_S, 100, (31_250,)),
    Close(CLIENT.public, AT_S, Reason.ENERGY_REACHED, 2, 100, (31_250,)),
    Closed(PROVIDER.public, AT_S, 2, 100, (31_250,)),
    Ready(1, b"\x07" * 8),
    Plug(2, 1, PlugStep.VERIFIED, 4_711, 396_000),
    Start(1, b"\x07" * 8),
    Pause(3, True),
    PowerLimit(4, 7_000),
    Stop(5, Reason.CLIENT_FULL),
    Subscribe(),
    Alive(17, 42),
    Status(18, 43, 10_900, PowerState.DELIVERING),
    Resume(REQUEST_ID),
    ResolvingKey(b"\x0c" * 16),
    Net(PROVIDER.public, AT_S, b"\x0d" * 32, (NetLine("EUR", 12_500, 31_250), NetLine("SEK", 0, 900_000))),
    Pay(PROVIDER.public, AT_S, 18_750, Means.BANK, reference="E2E-2026-01-14-0001"),
    Pay(
        CLIENT.public,
        AT_S,
        31_250,
        Means.VOUCHER,
        received=True,
        draws=(Draw(b"\x0a" * 32, b"\x0b" * 32, CLIENT.public, REQUEST_ID),),
    ),
    Correspond(REQUEST_ID, (b"\x0d" * 32,)),
    Recall(b"\x0f" * 4, 101, 7),
    Recalled(7),
    Shown(b"\x0a" * 40, b"\x0b" * 64, REQUEST_ID, b"\x0c" * 16, b"\x0d" * 20),
    CheckpointShown(b"a note", 101, (b"\x0a" * 32, b"\x0b" * 32)),
    Cosignature(b"a line"),
    Remembered(b"a note"),
)
"""One of each type, a second Offer and a second Pay."""


def ledger_of(who: Identity, entropy: Entropy) -> Ledger:
    """A ledger in memory whose epoch and salts anybody can make again."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None)

    return Ledger.over(engine_of(connect), who.signer, posting_rule=posting_rule, entropy=entropy)


@dataclass(slots=True)
class Trade:
    """The entries of the whole trade, in order, as both sides hold them in the end."""

    letters: list[Letter] = field(default_factory=list)
    entries: list[Link] = field(default_factory=list)
    genesis: dict[str, SignedEntry] = field(default_factory=dict)


def play() -> Trade:
    """Accept, Confirm, two intervals with their receipts, Close, Closed."""
    trade = Trade([sign_letter(CLIENT.signer, REQUEST), sign_letter(PROVIDER.signer, OFFER)])
    sides = {
        "provider": (PROVIDER, ledger_of(PROVIDER, counted(11))),
        "client": (CLIENT, ledger_of(CLIENT, counted(12))),
    }
    for name, (_, ledger) in sides.items():
        trade.genesis[name] = ledger.transact(lambda view: view.page()[0].signed)

    def write(name: str, message: EntryBody, answers: bytes) -> bytes:
        other = sides["client" if name == "provider" else "provider"][1]
        ledger = sides[name][1]
        kind, body = body_of(message)

        def append(transaction: Transaction) -> SignedEntry:
            _keep(transaction, trade.letters)
            return transaction.append(kind, body, answers=answers, request_id=REQUEST_ID)

        def receive(transaction: Transaction) -> None:
            _keep(transaction, trade.letters)
            transaction.receive(signed)

        signed = ledger.transact(append)
        other.transact(receive)
        trade.entries.append(Link(message, signed))
        return signed.hash

    hash_ = write("client", Accept(PROVIDER.public, AT_S, "EUR"), trade.letters[1].digest)
    hash_ = write("provider", Confirm(CLIENT.public, AT_S), hash_)
    accept = trade.entries[0].digest
    hash_ = write("provider", Interval(CLIENT.public, 0, AT_MS + 9_000, 1_204_551), accept)
    hash_ = write("client", Receipt(PROVIDER.public, 0, 883_012), hash_)
    hash_ = write("provider", Interval(CLIENT.public, 1, AT_MS + 69_000, 1_204_651), hash_)
    hash_ = write("client", Receipt(PROVIDER.public, 1, 883_109, 100, (31_250,)), hash_)
    hash_ = write("provider", Close(CLIENT.public, AT_S + 70, Reason.ENERGY_REACHED, 2, 100, (31_250,)), hash_)
    write("client", Closed(PROVIDER.public, AT_S + 70, 2, 100, (31_250,)), hash_)
    return trade


def _keep(transaction: Transaction, letters: list[Letter]) -> None:
    for letter in letters:
        said = letter.signed
        transaction.keep_message(said.kind, said.signer, said.payload, said.signature, REQUEST_ID)
