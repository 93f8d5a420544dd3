"""Two parties' ledgers in memory and the entries under way between them: lost, late or out of order as a test likes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from ledger.accounts import Balance
from ledger.entry import Entry, SignedEntry, commit, sign_entry, trade_salt
from ledger.errors import RemoteLedgerError
from ledger.message import SignedMessage
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from ledger.store.view import View
from market.errors import Reason
from market.terms import Accept, Close, Closed, Confirm, Dispute, EntryBody, Interval, Offer, PriceStep, Receipt
from market.units import energy_cost_micro
from tests.spec.trade import counted, ledger_of
from tests.support.market_terms import offer, request
from v2xnode.envelope import Letter, body_of, sign_letter
from v2xnode.identity import Identity
from v2xnode.settling import accounting
from v2xnode.settling.money import posting_rule
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.trades import Trade, trade

T = TypeVar("T")
NOW_S = 1_768_415_520
PRICE = 300_000


@dataclass(slots=True)
class Book:
    """One party: its key, its ledger, and what peers have sent that it has not taken yet."""

    identity: Identity
    ledger: Ledger
    inbox: list[SignedEntry] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    now_s: int = NOW_S

    @property
    def key(self) -> bytes:
        return self.identity.public

    def run(self, work: Callable[[Transaction], T]) -> T:
        return self.ledger.transact(work)

    def look(self, ask: Callable[[View], T]) -> T:
        return self.ledger.transact(ask)

    def balance(self, account: str, currency: str = "EUR") -> Balance:
        return self.look(lambda view: view.balance(account, currency))

    def owed_by(self, peer: "Book") -> int:
        """What we say that the peer owes us, less what we owe it."""
        return self.balance(receivable(peer.key)).posted_micro + self.balance(payable(peer.key)).posted_micro

    def told(self, request_id: bytes) -> Trade:
        found = self.look(lambda view: trade(view, request_id))
        assert found is not None
        return found

    def take(self, place: int = 0) -> bool:
        """Take one of what was sent, as a node does: kept and answered, or not yet."""
        signed = self.inbox.pop(place)
        try:
            self.run(lambda tx: accounting.receive(tx, signed, self.now_s))
        except RemoteLedgerError as problem:
            self.refused.append(problem.code)
            if problem.code in ("unanswered", "broken_chain"):  # what it answers is still under way
                self.inbox.append(signed)
            return False
        return True


@dataclass(slots=True)
class Street:
    """Parties that trade with each other, and whose entries wait in the others' inboxes until they are taken."""

    books: tuple[Book, ...]
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def send(self) -> None:
        """What stands in the outboxes goes to the inboxes."""
        for book in self.books:
            for each in book.look(lambda view: list(view.outbox())):
                book.run(lambda tx, each=each: tx.outbox_done(each.signed.hash))  # type: ignore[misc]
                for other in self.books:
                    if other.key == each.peer:
                        other.inbox.append(each.signed)

    def deliver(self) -> None:
        """Until nobody has anything to say any more."""
        for _ in range(100):
            self.send()
            waiting = [book for book in self.books if book.inbox]
            if not waiting:
                return
            for book in waiting:
                book.take()
        raise AssertionError(f"never quiet: {[book.refused for book in self.books]}")

    def sells(self, provider: Book, client: Book, energy_wh: int, *, client_wh: int | None = None) -> bytes:
        """A trade of that energy, settled by both; its request id. client_wh: what the client's meter says instead: the
        two dispute, and the smaller energy is settled."""
        deal = Deal(provider, client, next(self._ids).to_bytes(16, "big"))
        deal.deliver(energy_wh, energy_wh if client_wh is None else client_wh)
        return deal.request_id


@dataclass(slots=True)
class Deal:
    """One trade between two books, each entry taken at once by the other."""

    provider: Book
    client: Book
    request_id: bytes
    letters: tuple[Letter, Letter] = field(init=False)
    offer: Offer = field(init=False)

    def __post_init__(self) -> None:
        asked = request(request_id=self.request_id, provider=self.provider.key)
        self.offer = offer(request_id=self.request_id, price_steps=(PriceStep(0, PRICE),))
        self.letters = (
            sign_letter(self.client.identity.signer, asked),
            sign_letter(self.provider.identity.signer, self.offer),
        )
        for book in (self.provider, self.client):
            for letter in self.letters:
                keep(book, letter.signed, self.request_id)

    def writes(self, who: Book, message: EntryBody, answers: bytes) -> bytes:
        kind, body = body_of(message)
        signed = who.run(lambda tx: tx.append(kind, body, answers=answers, request_id=self.request_id))
        other = self.client if who is self.provider else self.provider
        other.run(lambda tx: tx.receive(signed))
        return signed.hash

    def agree(self) -> bytes:
        accept = self.writes(self.client, Accept(self.provider.key, self.client.now_s), self.letters[1].digest)
        self.writes(self.provider, Confirm(self.client.key, self.provider.now_s), accept)
        return accept

    def deliver(self, provider_wh: int, client_wh: int) -> None:
        last = self.agree()
        provider, client = self.provider, self.client
        last = self.writes(provider, Interval(client.key, 0, NOW_S * 1000, 0), last)
        last = self.writes(client, Receipt(provider.key, 0, 0), last)
        last = self.writes(provider, Interval(client.key, 1, NOW_S * 1000 + 60_000, provider_wh), last)
        agreed_wh, receipts = min(provider_wh, client_wh), 2
        cost = (energy_cost_micro(agreed_wh, PRICE),)
        if provider_wh == client_wh:
            last = self.writes(client, Receipt(provider.key, 1, client_wh, agreed_wh, cost), last)
        else:
            dispute = Dispute(provider.key, client.now_s, 1, provider_wh, client_wh, agreed_wh)
            last, receipts = self.writes(client, dispute, last), 1
        close = Close(client.key, provider.now_s, Reason.ENERGY_REACHED, receipts, agreed_wh, cost)
        last = self.writes(provider, close, last)
        self.writes(client, Closed(provider.key, client.now_s, receipts, agreed_wh, cost), last)


def keep(book: Book, said: SignedMessage, request_id: bytes) -> None:
    book.run(lambda tx: tx.keep_message(said.kind, said.signer, said.payload, said.signature, request_id))


def forged(
    who: Book,
    message: EntryBody,
    answers: bytes = b"",
    request_id: bytes | None = None,
    *,
    after: SignedEntry | None = None,
) -> SignedEntry:
    """The next entry of a chain, or the one behind `after`, signed and not kept: what its books would not say."""
    head = who.look(lambda view: view.head())
    assert head is not None
    last, (kind, body) = head.entry if after is None else after.entry, body_of(message)
    salt = bytes(16) if request_id is None else trade_salt(request_id, last.epoch, last.seq + 1)
    entry = Entry(1, last.node, last.epoch, last.seq + 1, last.hash, kind, answers, commit(salt, body))
    return sign_entry(who.identity.signer, entry, salt=salt, body=body, request_id=request_id)


def street(names: int = 2) -> Street:
    """Fresh books, each with a key and entropy that anybody can make again."""
    people = [Identity.from_seed(bytes([number + 1]) * 32, counted(number)) for number in range(names)]
    return Street(tuple(Book(each, ledger_of(each, counted(20 + place))) for place, each in enumerate(people)))


def street_in(directory: Path, names: int = 2) -> Street:
    """As `street`, with ledgers on disk: `0.db`, `1.db` and so on."""
    people = [Identity.from_seed(bytes([number + 1]) * 32, counted(number)) for number in range(names)]
    return Street(tuple(Book(each, _opened(directory, place, each)) for place, each in enumerate(people)))


def _opened(directory: Path, place: int, who: Identity) -> Ledger:
    path, entropy = directory / f"{place}.db", counted(20 + place)
    return Ledger.open(path, who.signer, posting_rule=posting_rule, entropy=entropy)
