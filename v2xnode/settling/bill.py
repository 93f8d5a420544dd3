"""What a trade comes to, reckoned again from its entries: for exports and receipts, which show more than totals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from market.delivery import Account, HeldEntry, Standing
from market.settlement import Tally, add, amounts
from market.terms import Accept, Confirm, Offer
from market.units import Role
from v2xnode.settling.trades import Trade


@dataclass(frozen=True, slots=True)
class Stretch:
    """The energy of one price step, and when the interval began with which its price came to count; `line` is its
    place in the offer's steps."""

    line: int
    start_at_ms: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Bill:
    """tallies: what the trade had come to at the opening and after each interval that counts, the last in all."""

    offer: Offer
    tallies: tuple[Tally, ...]

    @property
    def tally(self) -> Tally:
        """What it comes to in all."""
        return self.tallies[-1]

    @property
    def started_at_ms(self) -> int:
        """The end of Interval 0, by the provider's clock."""
        return self.tallies[0].at_ms

    @property
    def amounts_micro(self) -> tuple[int, ...]:
        """One amount for each line of the bill, in the order of `market.settlement.price_lines`."""
        return amounts(self.offer, self.tally)

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The price steps under which energy flowed, in the order of their beginning; at least one."""
        found = [each for line in range(len(self.offer.price_steps)) if (each := self._stretch(line)) is not None]
        return tuple(sorted(found, key=lambda each: each.start_at_ms)) or (Stretch(0, self.started_at_ms, 0),)

    def _stretch(self, line: int) -> Stretch | None:
        for before, after in pairwise(self.tallies):
            if after.line_wh[line] > before.line_wh[line]:
                return Stretch(line, before.at_ms, self.tally.line_wh[line])
        return None

    def resolved_at(self, agreed_wh: int) -> "Bill":
        """The bill where both agree afterwards on what the disputed interval, the last one, came to in all. Raises
        TermsInvalid for less than was receipted before."""
        *before, disputed = self.tallies
        return replace(self, tallies=(*before, add(self.offer, before[-1], disputed.at_ms, agreed_wh)))


def bill(offer: Offer, role: Role, held: Iterable[HeldEntry]) -> Bill | None:
    """The bill of the entries from the Accept on, as `role` holds them; None where nothing was metered."""
    now, tallies = Standing(role, Account(offer)), list[Tally]()
    for entry in held:
        now = now.after(entry)
        tallies = list(_with(tallies, now.account.tally))
    return Bill(offer, tuple(tallies)) if tallies else None


def _with(tallies: Sequence[Tally], newest: Tally | None) -> Iterator[Tally]:
    """A Dispute may take back what the newest Receipt said of the same interval; a Void takes back all."""
    if newest is not None:
        yield from (each for each in tallies if each.at_ms < newest.at_ms)
        yield newest


def bill_of(trade: Trade) -> Bill | None:
    """The bill of a trade; None where nothing was metered, or its offer or entries are not held any more."""
    if trade.offer is None or not trade.entries:
        return None
    return bill(trade.offer, trade.role, held_from_accept(trade)[0])


def held_from_accept(trade: Trade) -> tuple[Sequence[HeldEntry], bytes]:
    """The entries from the Accept that counts on, and the hash of the offer that it answers."""
    confirmed = {stored.entry.answers for stored, message in trade.entries if isinstance(message, Confirm)}
    accepts = [place for place, (_, message) in enumerate(trade.entries) if isinstance(message, Accept)]
    begins = next((place for place in accepts if trade.entries[place][0].hash in confirmed), accepts[-1])
    held = [HeldEntry(message, stored.hash, stored.own) for stored, message in trade.entries[begins:]]
    return held, trade.entries[begins][0].entry.answers
