"""What a delivery has come to so far, the same for both sides: registers, receipts, agreed energy, amounts.

Values only: each function gives the next account or says what is wrong. A Receipt counts when it is what both can
reckon themselves; where the meters disagree, the undisputed part counts and never falls below the last Receipt
(ledger rules, promise 7).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from market import settlement
from market.errors import Reason
from market.settlement import Tally
from market.terms import Close, Closed, Dispute, EntryBody, Interval, Offer, Receipt
from market.units import MAX_ENERGY_WH


@dataclass(frozen=True, slots=True)
class Account:
    """The state of the metering after some entries.

    first, last: the opening and the newest receipted Interval; open, open_digest: the one that awaits its Receipt.
    opening_wh, client_wh: the client's registers at those two. before: the account without the newest Receipt, kept
    because that may still be disputed.
    """

    offer: Offer
    first: Interval | None = None
    last: Interval | None = None
    opening_wh: int = 0
    client_wh: int = 0
    tally: Tally | None = None
    receipts: int = 0
    open: Interval | None = None
    open_digest: bytes = b""
    disputed: bool = False
    before: "Account | None" = None

    @property
    def agreed_wh(self) -> int:
        """Energy that both have agreed on, or that is undisputed."""
        return 0 if self.tally is None else self.tally.agreed_wh

    @property
    def amounts_micro(self) -> tuple[int, ...]:
        """What that costs, one cumulative amount a price line; none before the opening Receipt."""
        return () if self.tally is None else settlement.amounts(self.offer, self.tally)

    def matches(self, said: Close | Closed) -> bool:
        """Whether the other side comes to the same totals."""
        ours = (self.receipts, self.agreed_wh, self.amounts_micro)
        return ours == (said.receipts, said.agreed_wh, said.amounts_micro)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The meters agree: what a Receipt says."""

    tally: Tally
    amounts_micro: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Disputed:
    """The meters disagree: what a Dispute says."""

    provider_wh: int
    client_wh: int
    undisputed_wh: int


def interval_fault(account: Account, interval: Interval) -> Reason | None:
    """Why an Interval can't be the next of this account, or None."""
    if account.open is not None or account.disputed or interval.number != account.receipts:
        return Reason.OUT_OF_STEP
    if account.last is None:
        return None
    if interval.register_wh < account.last.register_wh:
        return Reason.REGISTER_ROLLBACK
    edge_ms = settlement.next_tariff_edge_ms(account.offer, account.last.end_at_ms)
    if interval.end_at_ms <= account.last.end_at_ms or (edge_ms is not None and interval.end_at_ms > edge_ms):
        return Reason.METER_DISAGREEMENT
    return None


def opened(account: Account, interval: Interval, digest: bytes = b"") -> Account:
    """With an Interval that awaits its Receipt."""
    return replace(account, open=interval, open_digest=digest)


def unopened(account: Account) -> Account:
    """Without it, because it could not be appended."""
    return replace(account, open=None, open_digest=b"")


def reckon(account: Account, client_register_wh: int) -> Reckoned | Disputed:
    """What the open Interval comes to with the client's register at its end."""
    interval = account.open
    if interval is None:
        raise ValueError("no interval is open")
    if account.first is None or account.tally is None:
        return Reckoned(settlement.open_tally(account.offer, interval.end_at_ms), ())
    provider_wh = energy_wh(interval.register_wh, account.first.register_wh)
    client_wh = energy_wh(client_register_wh, account.opening_wh)
    elapsed_ms = interval.end_at_ms - account.first.end_at_ms
    verdict = settlement.agree(account.offer, provider_wh, client_wh, elapsed_ms)
    if isinstance(verdict, settlement.Disagreement):
        return Disputed(provider_wh, client_wh, max(verdict.undisputed_wh, account.tally.agreed_wh))
    agreed_wh = max(verdict.agreed_wh, account.tally.agreed_wh)
    tally = settlement.add(account.offer, account.tally, interval.end_at_ms, agreed_wh)
    return Reckoned(tally, settlement.amounts(account.offer, tally))


def receipt_for(account: Account, reckoned: Reckoned, peer: bytes, client_register_wh: int) -> Receipt:
    """The Receipt that answers the open Interval."""
    return Receipt(
        peer=peer,
        number=account.receipts,
        register_wh=client_register_wh,
        agreed_wh=reckoned.tally.agreed_wh,
        amounts_micro=reckoned.amounts_micro,
    )


def receipted(account: Account, receipt: Receipt) -> Account | Disputed:
    """With a Receipt of the open Interval, if it says what we reckon ourselves; else what has to be disputed."""
    reckoned = reckon(account, receipt.register_wh)
    if isinstance(reckoned, Disputed):
        return reckoned
    said = (receipt.agreed_wh, receipt.amounts_micro)
    if said != (reckoned.tally.agreed_wh, reckoned.amounts_micro) or receipt.register_wh < account.client_wh:
        return _arithmetic_dispute(account, receipt, reckoned)
    opening = account.first is None
    return Account(
        offer=account.offer,
        first=account.open if opening else account.first,
        last=account.open,
        opening_wh=receipt.register_wh if opening else account.opening_wh,
        client_wh=receipt.register_wh,
        tally=reckoned.tally,
        receipts=account.receipts + 1,
        before=replace(account, before=None),
    )


def _arithmetic_dispute(account: Account, receipt: Receipt, reckoned: Reckoned) -> Disputed:
    """The registers may agree, and yet the Receipt says something else: the smaller energy is undisputed."""
    interval, first = account.open, account.first
    provider_wh = 0 if interval is None or first is None else energy_wh(interval.register_wh, first.register_wh)
    client_wh = 0 if first is None else energy_wh(receipt.register_wh, account.opening_wh)
    undisputed_wh = max(min(receipt.agreed_wh, reckoned.tally.agreed_wh), account.agreed_wh)
    return Disputed(provider_wh, client_wh, undisputed_wh)


def dispute_for(account: Account, found: Disputed, peer: bytes) -> Dispute:
    """The Dispute about the open Interval."""
    return Dispute(
        peer=peer,
        at_s=0,
        number=account.receipts,
        provider_wh=found.provider_wh,
        client_wh=found.client_wh,
        undisputed_wh=found.undisputed_wh,
    )


def disputed(account: Account, dispute: Dispute) -> Account | None:
    """With a Dispute of either side: its undisputed part, from the last undisputed Receipt up to what the newest
    Receipt says, or to the provider's register where there is none. None: it is about no such Interval."""
    highest_wh = MAX_ENERGY_WH
    if account.before is not None and dispute.number == account.receipts - 1:
        account, highest_wh = account.before, account.agreed_wh
    if account.open is None or account.disputed or dispute.number != account.receipts:
        return None
    tally = account.tally
    if account.first is not None and tally is not None:
        provider_wh = energy_wh(account.open.register_wh, account.first.register_wh)
        undisputed_wh = max(min(dispute.undisputed_wh, highest_wh, provider_wh), tally.agreed_wh)
        tally = settlement.add(account.offer, tally, account.open.end_at_ms, undisputed_wh)
    return replace(account, tally=tally, open=None, open_digest=b"", disputed=True)


def unseen_register_wh(account: Account, highest_wh: int) -> int:
    """Our own register at the end of the open Interval, where no reading is that old (we were down, and `highest_wh` is
    the first one after): what the provider's register makes of it, as far as our own meter leaves room for that."""
    interval, first = account.open, account.first
    if interval is None or first is None:
        return highest_wh
    provider_wh = energy_wh(interval.register_wh, first.register_wh)
    lost_wh = settlement.loss_wh(account.offer.loss, provider_wh, interval.end_at_ms - first.end_at_ms)
    expected_wh = account.opening_wh + max(0, provider_wh - lost_wh)
    return max(account.client_wh, min(expected_wh, highest_wh))


def replay(offer: Offer, entries: Iterable[tuple[EntryBody, bytes]]) -> Account:
    """The account that a session's entries amount to, in the order of the ledger: what a restarted node goes on with.

    Own entries and the peer's alike, each with its hash; what did not count then does not count now.
    """
    account = Account(offer)
    for message, digest in entries:
        account = replayed(account, message, digest)
    return account


def replayed(account: Account, message: EntryBody, digest: bytes) -> Account:
    """The account after one more entry; the same one where that does not count."""
    match message:
        case Interval() if interval_fault(account, message) is None:
            return opened(account, message, digest)
        case Receipt() if account.open is not None and message.number == account.receipts:
            after = receipted(account, message)
            return after if isinstance(after, Account) else account
        case Dispute():
            return disputed(account, message) or account
        case _:
            return account


def energy_wh(register_wh: int, opening_wh: int) -> int:
    """What a cumulative register has counted since the opening."""
    return min(max(register_wh - opening_wh, 0), MAX_ENERGY_WH)
