"""How a dispute ends: the Resolves of both parties, and the one that both have signed."""

from dataclasses import dataclass, replace

from ledger.store.view import StoredEntry
from market.terms import Dispute, EntryBody, Resolve
from market.units import Role

MAX_RESOLVES = 8
"""Of one party in one trade: enough to come to terms, too few to fill a disk."""


@dataclass(frozen=True, slots=True)
class Said:
    """A Resolve as it was signed."""

    digest: bytes
    own: bool
    answers: bytes
    message: Resolve

    def agrees_to(self, other: "Said") -> bool:
        """Whether it is the other party's answer, with the same totals."""
        ours, theirs = self.message, other.message
        same = (ours.agreed_wh, ours.amounts_micro) == (theirs.agreed_wh, theirs.amounts_micro)
        return same and self.answers == other.digest and self.own is not other.own


@dataclass(frozen=True, slots=True)
class Resolving:
    """The Disputes and Resolves of a trade so far. said: in the order of arrival."""

    disputed: bool = False
    said: tuple[Said, ...] = ()

    def after(self, stored: StoredEntry, message: EntryBody) -> "Resolving":
        """With one more entry of the trade. Raises ValueError for a Resolve that has no place."""
        if isinstance(message, Dispute):
            return replace(self, disputed=True)
        if not isinstance(message, Resolve):
            return self
        if not self.disputed:
            raise ValueError("nothing is disputed in this trade")
        if sum(each.own is stored.own for each in self.said) >= MAX_RESOLVES:
            raise ValueError(f"one party signs at most {MAX_RESOLVES} Resolves in a trade")
        return replace(self, said=(*self.said, Said(stored.hash, stored.own, stored.entry.answers, message)))

    def agreed(self, role: Role) -> Resolve | None:
        """What both have signed. role: ours."""
        both = self.agreement(role)
        return both[0].message if both else None

    def agreement(self, role: Role) -> tuple[Said, Said] | None:
        """The proposal that the other party has answered with the same, and that answer; where two agreements crossed,
        the one over the provider's proposal. role: ours."""
        both = [(proposal, answer) for answer in self.said for proposal in self.said if answer.agrees_to(proposal)]
        providers = [each for each in both if each[0].own is (role is Role.PROVIDER)]
        return next(iter((*providers, *both)), None)

    def proposed(self, *, own: bool) -> Said | None:
        """The newest proposal of one side."""
        return next((each for each in reversed(self.said) if each.own is own), None)
