"""A sale from before a restart. Its Accept gets the one answer that is or will be in the ledger; all else is for the
delivery that settles it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from market.errors import Reason
from market.terms import Reject, Void
from v2xnode.envelope import MAX_SAID, FrameInvalid, Item, Link, Reading, fitting, is_accept, read
from v2xnode.links import AcceptedLink, RawItems
from v2xnode.trading.books import Books, Verdict
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.remains import Remains


@dataclass(slots=True)
class Reopened:
    """What is left of one request. delivering: None where nothing was confirmed, where all is written that ever will
    be, or where only a Void is missing of a session whose path is down: then whoever comes back is told what it has not
    heard."""

    left: Remains
    me: bytes
    books: Books
    delivering: Delivering | None
    is_undecided: bool = field(default=False, init=False)

    @property
    def peer(self) -> bytes:
        return self.left.peer

    @property
    def is_over(self) -> bool:
        return self.delivering is None or self.delivering.is_put_away

    def withdraw(self, reason: Reason) -> None:
        """There is no offer any more that could be taken back."""

    async def again(self, raw: list[Any]) -> Sequence[Item]:
        """The request once more: what it led to is told to whoever resumes it."""
        return ()

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """Answer a frame. Raises FrameInvalid."""
        context = link.context(self.me, self.left.request_id, self.left.said[::-1][:MAX_SAID])
        accepts = [raw for raw in items if is_accept(raw)]
        rest = [raw for raw in items if not is_accept(raw)]
        reply = [answer for raw in accepts for answer in await self._answer(raw, context)]
        if self.delivering is not None:
            return [*reply, *await self.delivering.ask(link, rest)] if rest else reply
        await self._keep(rest, context)
        return fitting([*reply, *self.left.to_say])

    async def _answer(self, raw: list[Any], context: Reading) -> Sequence[Item]:
        """Exactly one Confirm or Reject answers an Accept: the stored one, or else, since the offer died with the
        process that made it, a Reject."""
        accept = read(raw, context)
        if accept.digest not in self.left.accepts:
            raise FrameInvalid("The offer that this answers died with a restart.")
        stored = await self.books.reply_to(accept.digest, self.left.request_id)
        if stored:
            return stored
        reject = Reject(peer=self.peer, at_s=0, reason=Reason.OFFER_EXPIRED)
        entry, _ = await self.books.decide(self.left.request_id, accept.digest, lambda _: Verdict(reject))
        return [entry]

    async def _keep(self, items: RawItems, context: Reading) -> None:
        """Without a delivery only one Void has a place here."""
        for item in (read(raw, context) for raw in items):
            if isinstance(item, Link) and isinstance(item.message, Void) and not self.left.is_over:
                await self.books.receive(item)
