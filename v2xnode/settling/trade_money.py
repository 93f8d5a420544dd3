"""The money that a trade's entries move.

Receipts make an amount pending, the settlement posts it, a Resolve of both corrects it, and a peer's word alone moves
nothing. The provider books what it is owed against income, the client what it owes against expense; each in its own
ledger, from the same entries, and so the same amounts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ledger.accounts import Posting, State
from ledger.store.view import StoredEntry
from market.terms import WRITERS, Accept, Close, Closed, Dispute, EntryBody, Receipt, Resolve
from market.units import Role
from v2xnode.settling.names import EXPENSE, INCOME, payable, receivable
from v2xnode.settling.resolving import Resolving


@dataclass(frozen=True, slots=True)
class Money:
    """What a trade's entries have moved so far, in our books.

    settled: whether we have signed a settlement. voided_micro: what was pending up to our newest one, not always what
    that posts: after a Dispute it may be more, or less. heard: the client's Receipts, by hash, that we as the provider
    have not answered yet.
    """

    role: Role | None = None
    peer: bytes = b""
    currency: str = ""
    receipted_micro: int = 0
    settled_micro: int = 0
    voided_micro: int = 0
    heard: tuple[tuple[bytes, int], ...] = ()
    settled: bool = False
    resolving: Resolving = Resolving()

    def after(self, stored: StoredEntry, message: EntryBody) -> "Money":
        """With the trade's next entry. Raises ValueError for one that has no place here."""
        if isinstance(message, Accept):
            return self._agreed(stored, message)
        if self.role is None:
            return self._before_agreement(message)
        if not stored.own and stored.entry.node != self.peer:
            raise ValueError("this trade is with somebody else")
        writer = WRITERS.get(type(message))
        if writer is not None and stored.own is not (writer is self.role):
            raise ValueError(f"only the {writer.name.lower()} writes this")
        after = self._ours(stored, message) if stored.own else self._theirs(stored, message)
        return after._resolved(stored, message)

    def _agreed(self, stored: StoredEntry, message: Accept) -> "Money":
        """An Accept after one that was rejected begins anew; one after money has moved would undo that."""
        role = Role.CLIENT if stored.own else Role.PROVIDER
        peer = message.peer if stored.own else stored.entry.node
        if self.receipted_micro or self.settled_micro or self.heard:
            raise ValueError("this trade has been delivered already")
        if self.role is not None and (self.role, self.peer) != (role, peer):
            raise ValueError("this trade is with somebody else")
        return Money(role, peer, message.currency)

    def _before_agreement(self, message: EntryBody) -> "Money":
        if isinstance(message, Receipt | Close | Closed | Resolve):
            raise ValueError("an amount needs an agreement")
        return self

    def _theirs(self, stored: StoredEntry, message: EntryBody) -> "Money":
        """A peer says what it likes: its Receipt counts from our answer to it, its settlement from our own."""
        if not isinstance(message, Receipt):
            return self
        return replace(self, heard=(*self.heard, (stored.hash, sum(message.amounts_micro))))

    def _ours(self, stored: StoredEntry, message: EntryBody) -> "Money":
        receipted_micro, heard = self._answered(stored.entry.answers)
        if isinstance(message, Receipt):
            receipted_micro = sum(message.amounts_micro)
        after = replace(self, receipted_micro=receipted_micro, heard=heard)
        if isinstance(message, Close | Closed):
            settled_micro = sum(message.amounts_micro)
            return replace(after, settled=True, settled_micro=settled_micro, voided_micro=receipted_micro)
        return after

    def _resolved(self, stored: StoredEntry, message: EntryBody) -> "Money":
        """Once both have signed a Resolve it stands, whatever settlement either signs after it."""
        if not isinstance(message, Dispute | Resolve) and not self.resolving.said:
            return self
        role = Role.CLIENT if self.role is None else self.role
        if isinstance(message, Resolve) and stored.own and self.resolving.agreed(role) is not None:
            raise ValueError("this dispute is resolved")
        if isinstance(message, Resolve) and stored.own and not self.settled:
            raise ValueError("what is undisputed is settled first")
        resolving = self.resolving.after(stored, message)
        agreed = resolving.agreed(role)
        if agreed is None:
            return replace(self, resolving=resolving)
        return replace(self, resolving=resolving, settled_micro=sum(agreed.amounts_micro))

    def _answered(self, answers: bytes) -> tuple[int, tuple[tuple[bytes, int], ...]]:
        """What is receipted when we answer this, and the Receipts that came after it."""
        for place, (receipt, amount_micro) in enumerate(self.heard):
            if receipt == answers:
                return amount_micro, self.heard[place + 1 :]
        return self.receipted_micro, self.heard


def trade_rule(before: Money, stored: StoredEntry, message: EntryBody) -> tuple[Money, Sequence[Posting]]:
    """What a trade's money has come to with its next entry, and what that posts: a receipt's new amount pending; with
    a settlement its amount posted, and nothing pending any more; with a Resolve of both the difference. Pure.

    Only what we sign ourselves moves money in our books: the client's own Receipt; the provider's answer to one, which
    says that it reckons the same; our own Close or Closed; a Resolve of ours with the peer's. Raises ValueError for an
    entry that belongs to no agreement of ours, or that begins a delivered one anew.
    """
    after = before.after(stored, message)
    return after, [
        *_pair(before, after.receipted_micro - before.receipted_micro, State.PENDING),
        *_pair(before, after.voided_micro - before.voided_micro, State.VOID),
        *_pair(before, after.settled_micro - before.settled_micro, State.POSTED),
    ]


def _pair(money: Money, amount_micro: int, state: State) -> Iterable[Posting]:
    if amount_micro == 0:
        return ()
    if money.role is Role.PROVIDER:
        to, out_of = receivable(money.peer), INCOME
    else:
        to, out_of = EXPENSE, payable(money.peer)
    return (
        Posting(to, money.currency, amount_micro, state),
        Posting(out_of, money.currency, -amount_micro, state),
    )
