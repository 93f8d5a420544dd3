"""Who owes what, in which currency, and for how long."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.accounts import Balance, State
from ledger.store.view import Movement, View
from v2xnode.envelope import message_of
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.nets import signed_by_both

DAY_S = 86_400
AGE_BOUNDS_DAYS = (30, 60, 90)
"""Where one class of an ageing list ends and the next begins, as in anybody's accounts."""
AGE_NAMES = ("days_0_30", "days_31_60", "days_61_90", "days_over_90")


@dataclass(frozen=True, slots=True)
class Debt:
    """What one side owes the other, posted. `since_s`: when the oldest of it was settled, 0 for nothing owed.
    `ages_micro`: by age, in the order of `AGE_NAMES`; what was paid has paid the oldest first."""

    owed_micro: int
    pending_micro: int
    since_s: int
    ages_micro: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """Amounts in millionths of the currency."""
        return {
            "owed_micro": self.owed_micro,
            "pending_micro": self.pending_micro,
            "since_s": self.since_s or None,
            "ages_micro": dict(zip(AGE_NAMES, self.ages_micro, strict=True)),
        }


@dataclass(frozen=True, slots=True)
class Account:
    """All between us and one peer in one currency. owed below zero: who was owed was paid too much."""

    peer: bytes
    currency: str
    to_us: Debt
    by_us: Debt

    @property
    def net_micro(self) -> int:
        """What the peer owes us once the two directions cancel; we owe it where negative."""
        return self.to_us.owed_micro - self.by_us.owed_micro

    def as_json(self) -> dict[str, Any]:
        """Amounts in millionths of the currency."""
        return {
            "peer": self.peer.hex(),
            "currency": self.currency,
            "owed_to_us": self.to_us.as_json(),
            "owed_by_us": self.by_us.as_json(),
            "net_micro": self.net_micro,
        }


def accounts(view: View, now_s: int, *, peer: bytes | None = None) -> list[Account]:
    """Each peer and currency in which anything ever moved, or those of one peer; by peer and currency."""
    found: dict[tuple[bytes, str], None] = {}
    for kind in ("receivable", "payable"):
        for name, currency in view.balances(kind=kind):
            found[bytes.fromhex(name.partition(":")[2]), currency] = None
    return [_account(view, each, currency, now_s) for each, currency in sorted(found) if peer in (None, each)]


def peers(view: View) -> list[bytes]:
    """Everybody with whom anything ever moved."""
    names = [name for kind in ("receivable", "payable") for name, _ in view.balances(kind=kind)]
    return sorted({bytes.fromhex(name.partition(":")[2]) for name in names})


def owed_by_all(view: View, currency: str) -> dict[bytes, int]:
    """What each peer owes us, with what is receipted and not settled yet."""
    return {
        bytes.fromhex(account.partition(":")[2]): balance.posted_micro + balance.pending_micro
        for (account, unit), balance in view.balances(kind="receivable").items()
        if unit == currency
    }


def _account(view: View, peer: bytes, currency: str, now_s: int) -> Account:
    to_us, by_us = (
        _debt(view, name, currency, sign, now_s, _netted_at_s(view, peer))
        for name, sign in ((receivable(peer), 1), (payable(peer), -1))
    )
    return Account(peer, currency, to_us, by_us)


def _debt(view: View, name: str, currency: str, sign: int, now_s: int, netted_at_s: int) -> Debt:
    balance = view.balances(account=name).get((name, currency), Balance())
    moved = (each for each in _movements(view, name) if each.currency == currency and each.state is State.POSTED)
    open_ = _unpaid([(_at_s(each, netted_at_s), sign * each.amount_micro) for each in moved])
    return Debt(
        sign * balance.posted_micro,
        sign * balance.pending_micro,
        min((at_s for at_s, _ in open_), default=0),
        _ages(open_, now_s),
    )


def _movements(view: View, name: str) -> Iterator[Movement]:
    place = 0
    while page := view.movements(name, after=place):
        place = page[-1].place
        yield from page


def _at_s(movement: Movement, netted_at_s: int) -> int:
    """When it was signed, by the writer's clock; of a pruned entry nobody knows that more closely than its Net."""
    if movement.stored.pruned:
        return netted_at_s
    at_s: int = getattr(message_of(movement.stored.signed), "at_s", 0)
    return at_s


def _netted_at_s(view: View, peer: bytes) -> int:
    newest = signed_by_both(view, peer)
    return 0 if newest is None else getattr(message_of(newest.signed), "at_s", 0)


def _unpaid(moved: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of each debt after all that was paid, oldest debt first: (settled at, left)."""
    paid_micro = -sum(amount_micro for _, amount_micro in moved if amount_micro < 0)
    left = []
    for at_s, amount_micro in sorted(each for each in moved if each[1] > 0):
        covered_micro = min(paid_micro, amount_micro)
        paid_micro -= covered_micro
        if amount_micro > covered_micro:
            left.append((at_s, amount_micro - covered_micro))
    return left


def _ages(unpaid: Iterable[tuple[int, int]], now_s: int) -> tuple[int, ...]:
    ages_micro = [0] * len(AGE_NAMES)
    for at_s, amount_micro in unpaid:
        days = max(0, now_s - at_s) // DAY_S
        ages_micro[sum(days > bound for bound in AGE_BOUNDS_DAYS)] += amount_micro
    return tuple(ages_micro)
