"""Vouchers in a trade: ours are shown to the provider, a client's are kept and drawn on once the trade is settled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.entry import SignedEntry
from ledger.message import MessageKind, SignedMessage
from ledger.store.transaction import Transaction
from market.terms import MessageType, Shown
from market.units import MS_PER_SECOND
from v2xnode.clock import Clock
from v2xnode.envelope import MAX_ITEMS, FrameInvalid, read
from v2xnode.errors import NodeError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.links import AcceptedLink, RawItems
from v2xnode.settling import drawing, vouchers
from v2xnode.settling.vouchers import Held
from v2xnode.trading.books import Books

MAX_VOUCHERS = MAX_ITEMS - 2
"""Of one trade: as many as fit beside an Accept and a Ready."""


@dataclass(frozen=True, slots=True)
class Purse:
    """One node's. currency: in which it trades."""

    books: Books
    clock: Clock
    events: EventLog
    currency: str

    async def to_show(self, provider: bytes) -> Sequence[Shown]:
        """Ours that are good at a provider."""

        def look(transaction: Transaction) -> list[Held]:
            return vouchers.usable_at(transaction, provider, self.currency, self._now_s)[:MAX_VOUCHERS]

        return [_shown(each.message) for each in await self.books.run(look)]

    async def keep_shown(self, link: AcceptedLink, items: RawItems) -> RawItems:
        """What follows behind the vouchers that a frame begins with. Those are kept, as far as we take them.

        Raises FrameInvalid for what is no voucher, and for one on a link that may be a replay.
        """
        count = next((at for at, raw in enumerate(items) if raw[0] != MessageType.SHOWN), len(items))
        if count and not link.session.established:
            raise FrameInvalid("Vouchers are shown on an open link.")
        for raw in items[:count]:
            said = read(raw, link.context(b"", None)).message
            if not isinstance(said, Shown) or said.kind != MessageKind.VOUCHER:
                raise FrameInvalid("Only vouchers are shown here.")
            await self._keep(link.peer, SignedMessage(MessageKind.VOUCHER, said.signer, said.payload, said.signature))
        return items[count:]

    async def draw(self, request_id: bytes, client: bytes) -> None:
        """Have a settled sale paid by the vouchers that its client has shown, as far as they reach."""

        def look(transaction: Transaction) -> list[Held]:
            return vouchers.taken_from(transaction, client, self.currency, self._now_s)

        for held in await self.books.run(look):
            draw = _drawing(request_id, held.digest, self._now_s)
            try:
                await self.books.run(draw)
            except NodeError as problem:
                self.events.tell("not_drawn", request_id, code=problem.code, sentence=problem.sentence)

    async def _keep(self, holder: bytes, message: SignedMessage) -> None:
        try:
            held = await self.books.run(
                lambda transaction: vouchers.add(transaction, message, self._now_s, shown_by=holder)
            )
        except NodeError as problem:
            self.events.tell("voucher_refused", peer=short(holder), code=problem.code, sentence=problem.sentence)
        else:
            self.events.tell("voucher_shown", peer=short(holder), left_micro=held.remaining_micro)

    @property
    def _now_s(self) -> int:
        return self.clock.wall_ms() // MS_PER_SECOND


def _shown(message: SignedMessage) -> Shown:
    return Shown(message.payload, message.signature, kind=int(message.kind), signer=message.signer)


def _drawing(request_id: bytes, digest: bytes, now_s: int) -> Callable[[Transaction], SignedEntry]:
    return lambda transaction: drawing.draw(transaction, request_id, digest, now_s)
