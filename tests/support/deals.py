"""Two real ledgers of one trade with sums that fit, for what shows trades to others: each kind of price and of end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from ledger.entry import SignedEntry
from ledger.own.key_changes import own_key_entries, rotate
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from market.delivery import Account
from market.delivery import account as accounts
from market.errors import Reason
from market.terms import (
    Accept,
    Close,
    Closed,
    Confirm,
    EntryBody,
    Fee,
    FeeKind,
    Interval,
    LossRule,
    Offer,
    PriceKind,
    PriceStep,
    Profile,
    Request,
    Resolve,
    Tolerance,
    Void,
)
from market.units import MS_PER_MINUTE, MS_PER_SECOND, Role, Service
from v2xnode.envelope import Letter, body_of, sign_letter
from v2xnode.identity import Identity
from v2xnode.settling.bill import Bill, bill_of
from v2xnode.settling.money import posting_rule
from v2xnode.settling.trades import Trade, trade

AT_S = 1_768_415_520
AT_MS = AT_S * MS_PER_SECOND
PROVIDER_OPENS_WH, CLIENT_OPENS_WH = 1_204_551, 883_012
MINUTES = ((101, 99), (203, 199), (304, 297))
"""Both sides' Wh since the opening, at the end of each minute."""
EDGE = AT_MS // MS_PER_MINUTE + 2

PROVIDER, CLIENT = (Identity.from_seed(bytes([seed]) * 32) for seed in (1, 2))

FIXED = Offer(
    request_id=b"r" * 16,
    energy_wh=10_000,
    power_w=11_000,
    profile=Profile.DC_CONVERTER,
    price_steps=(PriceStep(0, 312_505),),
    loss=LossRule(60, 25_000),
    exposure_wh=220,
    tolerance=Tolerance(20, 30_000),
)
TAXED = replace(FIXED, fees=(Fee(FeeKind.SESSION, 20_000), Fee(FeeKind.TRAVEL, 150_001)), tax_permyriad=1_900)
BY_TIME = replace(
    TAXED, price_kind=PriceKind.TIME_OF_USE, price_steps=(PriceStep(EDGE - 60, 200_000), PriceStep(EDGE, 350_000))
)
BY_TIER = replace(
    FIXED,
    price_kind=PriceKind.TIERED,
    price_steps=(PriceStep(0, 400_000), PriceStep(150, 300_000), PriceStep(250, 200_000)),
)
INTO_A_HOME = replace(TAXED, profile=Profile.DC_BPT, reference=Role.CLIENT)


def counted(first: int) -> Callable[[int], bytes]:
    """Bytes that are the same in each run."""
    numbers = count(first << 16)
    return lambda size: b"".join(next(numbers).to_bytes(4, "big") for _ in range(size // 4 + 1))[:size]


@dataclass(slots=True)
class Side:
    """One party: its key, its ledger and that one's file."""

    identity: Identity
    ledger: Ledger
    path: Path

    @property
    def key(self) -> bytes:
        return self.identity.public

    def trade(self, request_id: bytes) -> Trade:
        found = self.ledger.transact(lambda transaction: trade(transaction, request_id))
        assert found is not None
        return found


@dataclass(slots=True)
class Deal:
    """A trade between two sides that both keep, played as far as its test wants it."""

    provider: Side
    client: Side
    offer: Offer
    service: Service = Service.V2V
    account: Account = field(init=False)
    newest: bytes = field(init=False, default=b"")
    letters: tuple[Letter, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.account = Account(self.offer)

    @property
    def request_id(self) -> bytes:
        return self.offer.request_id

    def by(self, who: Side, message: EntryBody, answers: bytes | None = None) -> SignedEntry:
        """Appended by one side and received by the other."""
        kind, body = body_of(message)
        to_what = self.newest if answers is None else answers

        def append(transaction: Transaction) -> SignedEntry:
            self._keep(transaction)
            return transaction.append(kind, body, answers=to_what, request_id=self.request_id)

        def receive(transaction: Transaction) -> None:
            self._keep(transaction)
            transaction.receive(signed)

        signed = who.ledger.transact(append)
        self.other(who).ledger.transact(receive)
        self.newest = signed.hash
        return signed

    def _keep(self, transaction: Transaction) -> None:
        for letter in self.letters:
            said = letter.signed
            transaction.keep_message(said.kind, said.signer, said.payload, said.signature, self.request_id)

    def other(self, who: Side) -> Side:
        return self.client if who is self.provider else self.provider

    def agree(self, **changes: Any) -> None:
        """Request and Offer, Accept and Confirm. changes: of the request."""
        asked = Request(
            **{
                "request_id": self.request_id,
                "provider": self.provider.key,
                "service": self.service,
                "energy_wh": 10_000,
                "energy_min_wh": 1,
                "power_max_w": 50_000,
                "window_ms": 600_000,
                "price_max_micro_per_kwh": 600_000,
                **changes,
            }
        )
        client, provider = self.client.identity.signer, self.provider.identity.signer
        self.letters = (sign_letter(client, asked), sign_letter(provider, self.offer))
        accept = self.by(self.client, Accept(self.provider.key, AT_S, self.offer.currency), self.letters[1].digest)
        self.by(self.provider, Confirm(self.client.key, AT_S))
        self.newest = accept.hash

    def meter(self, *readings: tuple[int, int]) -> None:
        """An opening, and a minute for each of the readings; what the meters don't agree on becomes a Dispute."""
        for number, (provider_wh, client_wh) in enumerate(((0, 0), *readings)):
            interval = Interval(
                self.client.key, number, AT_MS + number * MS_PER_MINUTE, PROVIDER_OPENS_WH + provider_wh
            )
            digest = self.by(self.provider, interval).hash
            self.account = accounts.opened(self.account, interval, digest)
            self._answer(CLIENT_OPENS_WH + client_wh)

    def _answer(self, register_wh: int) -> None:
        reckoned = accounts.reckon(self.account, register_wh)
        message: EntryBody
        if isinstance(reckoned, accounts.Disputed):
            message = replace(accounts.dispute_for(self.account, reckoned, self.provider.key), at_s=AT_S + 600)
            after: Account | accounts.Disputed | None = accounts.disputed(self.account, message)
        else:
            message = accounts.receipt_for(self.account, reckoned, self.provider.key, register_wh)
            after = accounts.receipted(self.account, message)
        assert isinstance(after, Account)
        self.account = after
        self.by(self.client, message)

    def close(self) -> None:
        """Close and Closed."""
        totals = (self.account.receipts, self.account.agreed_wh, self.account.amounts_micro)
        self.by(self.provider, Close(self.client.key, AT_S + 900, Reason.ENERGY_REACHED, *totals))
        self.by(self.client, Closed(self.provider.key, AT_S + 901, *totals))

    def resolve(self, agreed_wh: int) -> None:
        """Both agree on an energy after a Dispute."""
        found = self.provider.trade(self.request_id)
        dispute = next(stored.hash for stored, message in found.entries if type(message).__name__ == "Dispute")
        bill = bill_of(found)
        assert isinstance(bill, Bill)
        totals = (agreed_wh, bill.resolved_at(agreed_wh).amounts_micro)
        proposed = self.by(self.provider, Resolve(self.client.key, AT_S + 4_000, *totals), dispute)
        self.by(self.client, Resolve(self.provider.key, AT_S + 5_000, *totals), proposed.hash)

    def void(self) -> None:
        self.by(self.client, Void(self.provider.key, AT_S, Reason.WITHDRAWN))

    def rotate(self, who: Side, new: Signer) -> None:
        """Another key signs for a side from here on, and the other side is shown its KEY entries."""
        who.ledger.transact(lambda transaction: rotate(transaction, new))
        self.show_keys(who)

    def show_keys(self, who: Side) -> None:
        for signed in who.ledger.transact(own_key_entries):
            self.other(who).ledger.transact(lambda transaction, signed=signed: transaction.receive(signed))  # type: ignore[misc]

    def play(self, readings: Sequence[tuple[int, int]] = MINUTES) -> "Deal":
        """From the request to the settlement."""
        self.agree()
        self.meter(*readings)
        self.close()
        return self


@contextmanager
def sides(directory: Path) -> Iterator[tuple[Side, Side]]:
    """Provider and client, with a ledger each in a data directory of that name."""
    opened = []
    for name, identity, first in (("provider", PROVIDER, 11), ("client", CLIENT, 12)):
        (directory / name).mkdir()
        path = directory / name / "node.db"
        ledger = Ledger.open(path, identity.signer, posting_rule=posting_rule, entropy=counted(first))
        opened.append(Side(identity, ledger, path))
    with opened[0].ledger, opened[1].ledger:
        yield opened[0], opened[1]


def request_id(name: str) -> bytes:
    """16 bytes to tell trades apart by."""
    return name.encode().ljust(16, b".")[:16]


def _resolved(deal: Deal) -> None:
    _disputed(deal)
    deal.resolve(180)


def _disputed(deal: Deal) -> None:
    deal.play(((101, 99), (203, 120)))


def _voided(deal: Deal) -> None:
    deal.agree()
    deal.void()


def _running(deal: Deal) -> None:
    deal.agree()
    deal.meter(*MINUTES[:2])


STORIES: dict[str, Callable[[Deal], object]] = {
    "fixed": Deal.play,
    "taxed": Deal.play,
    "by time": Deal.play,
    "by tier": Deal.play,
    "into a home": Deal.play,
    "disputed": _disputed,
    "resolved": _resolved,
    "void": _voided,
    "running": _running,
}
"""Each way in which a trade goes, by name; its request id is `request_id(name)`."""

OFFERS = {"taxed": TAXED, "by time": BY_TIME, "by tier": BY_TIER, "into a home": INTO_A_HOME, "resolved": TAXED}


def played(provider: Side, client: Side, name: str) -> Deal:
    """One of the stories."""
    offer = replace(OFFERS.get(name, FIXED), request_id=request_id(name))
    deal = Deal(provider, client, offer, Service.V2H if name == "into a home" else Service.V2V)
    STORIES[name](deal)
    return deal
