"""What a Dispute has parked, and what the owners may agree on for it in the end: pure arithmetic.

The steps: docs/protocol.md, "After the settlement".
"""

from collections.abc import Iterable
from dataclasses import dataclass

from market import settlement
from market.delivery.account import Account, energy_wh, replayed
from market.errors import TermsInvalid
from market.terms import Dispute, EntryBody, Offer


@dataclass(frozen=True, slots=True)
class Parked:
    """What a Dispute leaves open, in Wh since the opening: nobody disputes `undisputed_wh`, and `highest_wh` is what
    the larger register counted."""

    undisputed_wh: int
    highest_wh: int
    _account: Account

    @property
    def parked_wh(self) -> int:
        """The difference that waits for the two owners."""
        return self.highest_wh - self.undisputed_wh

    def amounts_micro(self, agreed_wh: int) -> tuple[int, ...]:
        """What the trade costs with that much energy, one cumulative amount a price line: the disputed Interval is
        priced as it would have been without the Dispute.

        Raises TermsInvalid for less than is undisputed, or more than the larger register.
        """
        if not self.undisputed_wh <= agreed_wh <= self.highest_wh:
            bounds = f"must be from {self.undisputed_wh} to {self.highest_wh}, is {agreed_wh}"
            raise TermsInvalid("Resolve", "agreed_wh", bounds)
        account = self._account
        if account.tally is None or account.open is None:
            raise TermsInvalid("Resolve", "agreed_wh", "nothing was metered")
        tally = settlement.add(account.offer, account.tally, account.open.end_at_ms, agreed_wh)
        return settlement.amounts(account.offer, tally)


def parked(offer: Offer, entries: Iterable[tuple[EntryBody, bytes]]) -> Parked | None:
    """What the Dispute that counts has parked; None without one, or with one over the opening, before any energy.

    entries: all of the trade, each with its hash, in the order of the ledger.
    """
    account = Account(offer)
    for message, digest in entries:
        after = replayed(account, message, digest)
        if isinstance(message, Dispute) and after.disputed and not account.disputed:
            return _parked(account, message, after.agreed_wh)
        account = after
    return None


def _parked(account: Account, dispute: Dispute, undisputed_wh: int) -> Parked | None:
    """account: before the Dispute, which is about its open Interval or takes its newest Receipt back."""
    if account.before is not None and dispute.number == account.receipts - 1:
        account = account.before
    if account.open is None or account.first is None or account.tally is None:
        return None
    provider_wh = energy_wh(account.open.register_wh, account.first.register_wh)
    return Parked(undisputed_wh, max(provider_wh, dispute.client_wh, undisputed_wh), account)
