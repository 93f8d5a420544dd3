"""How a session stands by its entries alone: what a node that went down goes on with."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from market.delivery.account import Account, replayed
from market.delivery.steps import Written
from market.errors import Reason
from market.machine import Received
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
    Reject,
    Void,
)
from market.units import Role


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry of the session as the ledger holds it. own: we signed it."""

    message: EntryBody
    digest: bytes
    own: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A session from its Accept on, seen in this role.

    answers: hash of the peer's newest entry that counts, which our next one answers (b"": none yet). their_close: the
    peer's newest Close, where we have not answered it. reason: why it ended, where our own entries say so.
    """

    role: Role
    account: Account
    answers: bytes = b""
    written: Written = Written.NOTHING
    their_close: Received[Close] | None = None
    reason: Reason | None = None
    _our_close: Close | None = field(default=None, repr=False)

    def after(self, entry: HeldEntry) -> "Standing":
        """With one more entry, in the order of the ledger."""
        writer = WRITERS.get(type(entry.message))
        if writer is not None and entry.own is not (writer is self.role):
            return self
        match entry.message:
            case Void() | Reject():
                return self._ended(entry, entry.message.reason)
            case Close() | Closed():
                return self._settled(entry, entry.message)
            case Accept() | Confirm():
                return self if entry.own else replace(self, answers=entry.digest)
            case Dispute() if not self._is_heeded(entry.message, own=entry.own):
                return self
            case Interval() | Receipt() | Dispute():
                return self._metered(entry)
            case _:
                return self

    def _ended(self, entry: HeldEntry, reason: Reason) -> "Standing":
        """A Void counts before the first Receipt; the provider's may have crossed that one on its way."""
        crossed = self.role is Role.CLIENT and not entry.own and self.account.receipts == 1
        if self.account.receipts and not crossed:
            return self
        return replace(self, account=Account(self.account.offer), written=Written.END, reason=reason)

    def _is_heeded(self, dispute: Dispute, *, own: bool) -> bool:
        """Our own is about the open Interval, a client's about that too, but not about the opening; a provider's takes
        back the newest Receipt. Any other was refused when it came, and would undo what has been agreed since."""
        receipts = self.account.receipts
        if own:
            return dispute.number == receipts
        if self.role is Role.PROVIDER:
            return 0 < dispute.number == receipts
        return dispute.number == receipts - 1

    def _metered(self, entry: HeldEntry) -> "Standing":
        account = replayed(self.account, entry.message, entry.digest)
        counts = account is not self.account
        written = Written.NOTHING if counts and self.written is Written.CLOSE else self.written
        answers = entry.digest if counts and not entry.own else self.answers
        return replace(self, account=account, answers=answers, written=written)

    def _settled(self, entry: HeldEntry, said: Close | Closed) -> "Standing":
        if isinstance(said, Closed):
            ours = entry.own or (self._our_close is not None and self.account.matches(said))
            return replace(self, written=Written.END, their_close=None) if ours else self
        if entry.own:
            return replace(self, written=Written.CLOSE, reason=said.reason, _our_close=said)
        return replace(self, their_close=Received(said, entry.digest))


def standing(role: Role, offer: Offer, entries: Iterable[HeldEntry]) -> Standing:
    """How a session stands, from the Accept of `offer` on; own entries and the peer's alike, in the ledger's order.

    What did not count when it came does not count now. A Receipt that came after our Close takes that back: a Close
    with the new totals is due.
    """
    now = Standing(role, Account(offer))
    for entry in entries:
        now = now.after(entry)
    return now
