"""What a trade's signed entries and messages come to, for somebody who holds nothing else: strictly, in their order.

A receipt shows the entries that count, and no others:

    Accept, Confirm, Interval 0, Receipt 0, (Interval, Receipt)*, [Interval, Dispute | Dispute],
    Close, Closed, [Resolve, Resolve]

Whatever else is in a ledger of the trade (an Accept that was rejected, a Close that a late Receipt superseded) is left
out by who makes one, and refused by who reads one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ledger import cbor
from ledger.entry import SignedEntry
from ledger.errors import RemoteLedgerError
from ledger.files.receipt import history_of
from ledger.keys.key_history import KeyHistory
from ledger.message import MessageKind, SignedMessage
from market.delivery import Account
from market.delivery import account as accounts
from market.errors import TermsInvalid
from market.resolution import parked
from market.settlement import PriceLine, price_lines
from market.terms import (
    WRITERS,
    Accept,
    Close,
    Closed,
    Confirm,
    Dispute,
    EntryBody,
    Interval,
    Offer,
    Receipt,
    Request,
    Resolve,
    from_map,
)
from market.units import Role
from v2xnode.envelope import message_of
from v2xnode.errors import LedgerInvalid

T = TypeVar("T", bound=EntryBody)


class DossierRefused(LedgerInvalid):
    """The entries are truly signed, and yet they are not a settled trade, or not over what they say."""

    code = "does_not_add_up"


@dataclass(frozen=True, slots=True)
class Dossier:
    """A settled trade as its signed papers show it. state: settled | disputed | resolved.

    started_at_ms, ended_at_ms: the opening and the last metered interval, by the provider's clock. settled_at_s: the
    Closed's, or of a resolved one the second Resolve's, by its writer's clock. parked_wh: what is disputed still.
    """

    provider: bytes
    client: bytes
    request: Request
    offer: Offer
    state: str
    agreed_wh: int
    amounts_micro: tuple[int, ...]
    provider_wh: int
    client_wh: int
    parked_wh: int
    started_at_ms: int
    ended_at_ms: int
    settled_at_s: int
    close: SignedEntry
    closed: SignedEntry

    @property
    def total_micro(self) -> int:
        """What the client owes for it in all."""
        return sum(self.amounts_micro)

    @property
    def lines(self) -> Sequence[tuple[PriceLine, int]]:
        """Each line of the bill with its amount in millionths."""
        return list(zip(price_lines(self.offer), self.amounts_micro, strict=True))


def read_dossier(
    messages: Sequence[SignedMessage], entries: Sequence[SignedEntry], keys: Mapping[bytes, KeyHistory]
) -> Dossier:
    """The trade of a receipt whose signatures, chains and answers hold. Raises DossierRefused with a code."""
    try:
        return _Reader(messages, entries, keys).read()
    except (TermsInvalid, RemoteLedgerError) as problem:
        raise DossierRefused(f"A message is not of its form: {problem}.", code="malformed") from None


class _Reader:
    """Takes the entries one after the other; whatever has no place raises DossierRefused."""

    def __init__(
        self, messages: Sequence[SignedMessage], entries: Sequence[SignedEntry], keys: Mapping[bytes, KeyHistory]
    ) -> None:
        self._entries = [(signed, message_of(signed)) for signed in entries]
        self._keys = keys
        self._next = 0
        self._request, self._offer, self._offer_hash = self._read_messages(messages)
        self._account = Account(self._offer)

    def read(self) -> Dossier:
        self._read_agreement()
        self._read_metering()
        close, closed = self._read_settlement()
        account, resolve = self._account, self._read_resolution()
        if self._next < len(self._entries):
            raise DossierRefused("Behind what settles the trade stands more.", code="out_of_order")
        if account.first is None or account.last is None or account.tally is None:
            raise DossierRefused("Nothing was metered.", code="out_of_order")
        provider_wh, client_wh = self._registers_wh()
        settled = resolve or closed[1]
        return Dossier(
            provider=self._provider,
            client=self._client,
            request=self._request,
            offer=self._offer,
            state="resolved" if resolve else "disputed" if account.disputed else "settled",
            agreed_wh=settled.agreed_wh,
            amounts_micro=settled.amounts_micro,
            provider_wh=provider_wh,
            client_wh=client_wh,
            parked_wh=0 if resolve else self._parked_wh(),
            started_at_ms=account.first.end_at_ms,
            ended_at_ms=account.tally.at_ms,
            settled_at_s=settled.at_s,
            close=close[0],
            closed=closed[0],
        )

    def _read_messages(self, messages: Sequence[SignedMessage]) -> tuple[Request, Offer, bytes]:
        if [each.kind for each in messages] != [MessageKind.REQUEST, MessageKind.OFFER]:
            raise DossierRefused("A receipt carries the request and the offer.", code="out_of_order")
        asked, offered = messages
        request, offer = from_map(Request, cbor.decode(asked.payload)), from_map(Offer, cbor.decode(offered.payload))
        self._client, self._provider = self._first_node(), request.provider
        self._demand_signer(asked, self._client)
        self._demand_signer(offered, self._provider)
        if self._client == self._provider:
            raise DossierRefused("Nobody trades with itself.", code="wrong_party")
        if {request.request_id, offer.request_id} != {self._entries[0][0].request_id}:
            raise DossierRefused("Request or offer is of another request.", code="wrong_party")
        return request, offer, offered.hash

    def _first_node(self) -> bytes:
        if not self._entries:
            raise DossierRefused("A receipt carries entries.", code="out_of_order")
        return self._entries[0][0].entry.node

    def _demand_signer(self, message: SignedMessage, node: bytes) -> None:
        if not history_of(self._keys, node).signed(message.signer):
            raise DossierRefused(f"The {message.kind.name.lower()} is somebody else's.", code="wrong_party")

    def _read_agreement(self) -> None:
        accept, accepted = self._take(Accept, answering=self._offer_hash)
        self._take(Confirm, answering=accept.hash)
        if accepted.currency != self._offer.currency:
            raise DossierRefused("The Accept is in another currency than the Offer.", code="does_not_add_up")

    def _read_metering(self) -> None:
        while self._is_next(Interval):
            signed, interval = self._take(Interval)
            fault = accounts.interval_fault(self._account, interval)
            if fault is not None:
                raise DossierRefused(f"Interval {interval.number} can't follow: {fault.code}.", code="out_of_order")
            self._account = accounts.opened(self._account, interval, signed.hash)
            if self._is_next(Receipt):
                _, receipt = self._take(Receipt, answering=signed.hash)
                self._receipted(receipt)
        if self._is_next(Dispute):
            self._disputed(self._take(Dispute)[1])
        elif self._account.open is not None:
            raise DossierRefused("An Interval has neither Receipt nor Dispute.", code="out_of_order")

    def _receipted(self, receipt: Receipt) -> None:
        after = accounts.receipted(self._account, receipt) if receipt.number == self._account.receipts else None
        if not isinstance(after, Account):
            raise DossierRefused(f"Receipt {receipt.number} is not what the meters and the offer come to.")
        self._account = after

    def _disputed(self, dispute: Dispute) -> None:
        after = accounts.disputed(self._account, dispute)
        if after is None or after.first is None:
            raise DossierRefused("The Dispute is about no interval that could be disputed.", code="out_of_order")
        self._account = after

    def _read_settlement(self) -> tuple[tuple[SignedEntry, Close], tuple[SignedEntry, Closed]]:
        close = self._take(Close)
        closed = self._take(Closed, answering=close[0].hash)
        if close[0].entry.node == closed[0].entry.node:
            raise DossierRefused("Close and Closed are of one party.", code="wrong_party")
        if not self._account.matches(close[1]) or not self._account.matches(closed[1]):
            raise DossierRefused("The settlement is over other totals than the receipts come to.")
        return close, closed

    def _read_resolution(self) -> Resolve | None:
        if not self._is_next(Resolve):
            return None
        proposal, proposed = self._take(Resolve)
        answer, agreed = self._take(Resolve, answering=proposal.hash)
        if proposal.entry.node == answer.entry.node:
            raise DossierRefused("Both Resolves are of one party.", code="wrong_party")
        open_ = parked(self._offer, self._metered())
        said = {(each.agreed_wh, each.amounts_micro) for each in (proposed, agreed)}
        if open_ is None or said != {(agreed.agreed_wh, open_.amounts_micro(agreed.agreed_wh))}:
            raise DossierRefused("The Resolves are not over what the offer makes of their energy.")
        return agreed

    def _metered(self) -> Iterator[tuple[EntryBody, bytes]]:
        return ((message, signed.hash) for signed, message in self._entries)

    def _parked_wh(self) -> int:
        open_ = parked(self._offer, self._metered()) if self._account.disputed else None
        return open_.parked_wh if open_ else 0

    def _registers_wh(self) -> tuple[int, int]:
        """What each side's meter counted up to the last interval; of a disputed one as the Dispute says."""
        disputes = [message for _, message in self._entries if isinstance(message, Dispute)]
        if disputes:
            return disputes[-1].provider_wh, disputes[-1].client_wh
        account = self._account
        first, last = account.first, account.last
        provider_wh = last.register_wh - first.register_wh if first and last else 0
        return provider_wh, account.client_wh - account.opening_wh

    def _is_next(self, kind: type[EntryBody]) -> bool:
        return self._next < len(self._entries) and isinstance(self._entries[self._next][1], kind)

    def _take(self, kind: type[T], *, answering: bytes | None = None) -> tuple[SignedEntry, T]:
        """The next entry, which is of this kind, of the right party, about the other one."""
        signed, message = self._entries[self._next] if self._next < len(self._entries) else (None, None)
        if signed is None or not isinstance(message, kind):
            raise DossierRefused(f"A {kind.__name__} was due at place {self._next + 1}.", code="out_of_order")
        self._check_party(signed, message)
        if answering is not None and signed.entry.answers != answering:
            raise DossierRefused(f"The {kind.__name__} answers something else.", code="out_of_order")
        self._next += 1
        return signed, message

    def _check_party(self, signed: SignedEntry, message: EntryBody) -> None:
        parties = {self._provider: self._client, self._client: self._provider}
        node, writer = signed.entry.node, WRITERS.get(type(message))
        due = (
            {Role.PROVIDER: self._provider, Role.CLIENT: self._client}.get(writer, node) if writer is not None else node
        )
        if node not in parties or message.peer != parties[node] or node != due:
            raise DossierRefused(f"A {type(message).__name__} is of or about somebody else.", code="wrong_party")
