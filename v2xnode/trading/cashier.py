"""The owner's steps about money after the trades: signed in our ledger, then told to the peer at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from market.units import MS_PER_SECOND
from v2xnode.clock import Clock
from v2xnode.settling.steps import STEPS
from v2xnode.trading.books import Books
from v2xnode.trading.calling import Calling


@dataclass(frozen=True, slots=True)
class Cashier:
    """One node's."""

    books: Books
    calling: Calling
    clock: Clock

    async def take(self, step: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """One of `settling.steps.STEPS`; what was signed. Raises UsageError, and has changed nothing then."""
        now_s = self.clock.wall_ms() // MS_PER_SECOND
        done = await self.books.run(lambda transaction: STEPS[step](transaction, params, now_s))
        await self.calling.want_unheard()
        return done
