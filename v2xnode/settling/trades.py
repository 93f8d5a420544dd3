"""A trade as people and programs see it, told from its entries."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import cbor
from ledger.entry import EntryType
from ledger.store.view import StoredEntry, View
from market.errors import Reason
from market.resolution import Parked, parked
from market.terms import (
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
    Request,
    Resolve,
    Void,
    from_map,
)
from market.units import MS_PER_SECOND, Role
from v2xnode.envelope import message_of
from v2xnode.identity import short
from v2xnode.settling.resolving import Resolving

OPENING_RECEIPTS = 1
"""The first Receipt confirms the registers, and no energy."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as one party's ledger tells it. state: agreed | delivering | disputed | closing | settled | resolved |
    void | rejected | netted. A disputed trade is settled over the undisputed part; what is parked waits until it is
    resolved. Of a netted one, whose bodies were dropped, no entries are told."""

    request_id: bytes
    role: Role
    peer: bytes
    state: str
    request: Request | None
    offer: Offer | None
    entries: tuple[tuple[StoredEntry, EntryBody], ...]

    def of(self, kind: type[EntryBody]) -> list[Any]:
        """The messages of one type, in the order of arrival."""
        return [message for _, message in self.entries if isinstance(message, kind)]

    @property
    def settlement(self) -> Close | Closed | None:
        """Our own newest settlement entry: what the peer says beside it is not ours."""
        return _settlement(self.entries)

    @property
    def resolving(self) -> Resolving:
        """What both said of a dispute."""
        return _resolving(self.entries)

    @property
    def resolution(self) -> Resolve | None:
        """The Resolve that both have signed, with the totals that count instead of the settlement's."""
        return self.resolving.agreed(self.role)

    @property
    def parked(self) -> Parked | None:
        """What a Dispute has left open, until it is resolved."""
        if self.offer is None or not self.resolving.disputed or self.resolution is not None:
            return None
        return parked(self.offer, [(message, stored.hash) for stored, message in self.entries])

    @property
    def correction_micro(self) -> int:
        """What the resolution adds to the settlement; less than nothing is a credit to the client."""
        if self.resolution is None or self.settlement is None:
            return 0
        return sum(self.resolution.amounts_micro) - sum(self.settlement.amounts_micro)

    @property
    def settled_at_ms(self) -> int:
        """When it was settled, by the writer's clock; 0 where it was not."""
        return self.settlement.at_s * MS_PER_SECOND if self.settlement else 0

    @property
    def last_receipt(self) -> Receipt | None:
        receipts: list[Receipt] = self.of(Receipt)
        return receipts[-1] if receipts else None

    @property
    def agreed_wh(self) -> int:
        """Energy that both have signed for."""
        return self._said.agreed_wh if self._said else 0

    @property
    def amounts_micro(self) -> tuple[int, ...]:
        """What it costs, by price line; none where it came to nothing."""
        return self._said.amounts_micro if self._said else ()

    @property
    def _said(self) -> Close | Closed | Receipt | Resolve | None:
        """What both have signed last of energy and amounts."""
        return None if self.state == "void" else self.resolution or self.settlement or self.last_receipt

    @property
    def reason(self) -> Reason | None:
        """Why it ended."""
        ends = [message for _, message in self.entries if isinstance(message, Close | Void | Reject)]
        return ends[-1].reason if ends else None

    def registers_wh(self) -> dict[str, int]:
        """What each side's own meter counted between the first and the last interval that both know."""
        receipts: list[Receipt] = self.of(Receipt)
        wanted = {receipt.number for receipt in receipts}
        intervals = [interval for interval in self.of(Interval) if interval.number in wanted]
        return {
            "provider": intervals[-1].register_wh - intervals[0].register_wh if intervals else 0,
            "client": receipts[-1].register_wh - receipts[0].register_wh if receipts else 0,
        }

    def as_json(self) -> dict[str, Any]:
        """For people and programs; amounts in millionths of the currency."""
        said = self.registers_wh()
        return {
            "request_id": self.request_id.hex(),
            "role": self.role.name.lower(),
            "peer": self.peer.hex(),
            "service": self.request.service.name if self.request else None,
            "state": self.state,
            "reason": self.reason.code if self.reason else None,
            "currency": self.offer.currency if self.offer else None,
            "profile": self.offer.profile.name.lower() if self.offer else None,
            "price_micro_per_kwh": self.offer.price_steps[0].price_micro_per_kwh if self.offer else None,
            "delivered_wh": {**said, "agreed": self.agreed_wh},
            "amount_micro": sum(self.amounts_micro),
            "amounts_micro": list(self.amounts_micro),
            "intervals": len(self.of(Interval)),
            "receipts": len(self.of(Receipt)),
            "parked_wh": self.parked.parked_wh if self.parked else 0,
            "correction_micro": self.correction_micro,
        }


def trade(view: View, request_id: bytes) -> Trade | None:
    """One trade, from its entries and messages; None for an id that the ledger does not know."""
    held = view.entries(request_id)
    if any(stored.pruned for stored in held):
        return _netted(view, request_id, held)
    entries = tuple((stored, message_of(stored.signed)) for stored in held)
    accept = _accepted(entries)
    if accept is None:
        return None
    stored, message = accept
    role = Role.CLIENT if stored.own else Role.PROVIDER
    peer = message.peer if stored.own else stored.entry.node
    state = "resolved" if _resolving(entries).agreed(role) else _state(entries)
    return Trade(request_id, role, peer, state, *_letters(view, request_id, stored.entry.answers), entries)


def _netted(view: View, request_id: bytes, held: Sequence[StoredEntry]) -> Trade | None:
    """What payloads alone tell: who agreed with whom, on which offer."""
    accepts = [stored for stored in held if stored.type is EntryType.ACCEPT]
    peers = [stored.entry.node for stored in held if not stored.own]
    if not accepts or not peers:
        return None
    role = Role.CLIENT if accepts[-1].own else Role.PROVIDER
    return Trade(request_id, role, peers[0], "netted", *_letters(view, request_id, accepts[-1].entry.answers), ())


def _letters(view: View, request_id: bytes, accepted: bytes) -> tuple[Request | None, Offer | None]:
    """The request, and the offer of that hash."""
    said = {each.message.hash: each.message for each in view.messages(request_id)}
    offer = said.get(accepted)
    request = next((each for each in said.values() if each.kind.name == "REQUEST"), None)
    return (
        from_map(Request, cbor.decode(request.payload)) if request else None,
        from_map(Offer, cbor.decode(offer.payload)) if offer else None,
    )


def _accepted(entries: Iterable[tuple[StoredEntry, EntryBody]]) -> tuple[StoredEntry, Accept] | None:
    """The Accept that was confirmed, else the newest: one for an older offer may have been rejected before it."""
    accepts = {stored.hash: (stored, message) for stored, message in entries if isinstance(message, Accept)}
    confirmed = (stored.entry.answers for stored, message in entries if isinstance(message, Confirm))
    return next((accepts[each] for each in confirmed if each in accepts), next(reversed(accepts.values()), None))


def _settlement(entries: Iterable[tuple[StoredEntry, EntryBody]]) -> Close | Closed | None:
    own = [message for stored, message in entries if stored.own and isinstance(message, Close | Closed)]
    return own[-1] if own else None


def _resolving(entries: Iterable[tuple[StoredEntry, EntryBody]]) -> Resolving:
    resolving = Resolving()
    for stored, message in entries:
        resolving = resolving.after(stored, message)
    return resolving


def _state(entries: Sequence[tuple[StoredEntry, EntryBody]]) -> str:
    """What has come last, by what can follow what: an Accept that was rejected may be followed by one that was not. A
    Closed over other totals than ours closes nothing, and a Void that came too late voids nothing."""
    ours = _settlement(entries)
    kinds = {type(message) for _, message in entries if not isinstance(message, Closed) or _same(message, ours)}
    if not _is_voided(entries, ours):
        kinds.discard(Void)
    for kind, state in (
        (Closed, "settled"),
        (Void, "void"),
        (Close, "closing"),
        (Dispute, "disputed"),
        (Interval, "delivering"),
        (Confirm, "agreed"),
        (Reject, "rejected"),
    ):
        if kind in kinds:
            return state
    return "agreed"


def _is_voided(entries: Sequence[tuple[StoredEntry, EntryBody]], ours: Close | Closed | None) -> bool:
    """A Void stands only before the first receipted interval and any Dispute; it may have crossed the opening Receipt,
    and a Close of ours over nothing."""
    if ours is not None and ours.agreed_wh:
        return False
    before = list(itertools.takewhile(lambda message: not isinstance(message, Void), (each for _, each in entries)))
    receipts = sum(isinstance(message, Receipt) for message in before)
    disputed = any(isinstance(message, Dispute) for message in before)
    return receipts <= OPENING_RECEIPTS and not disputed and len(before) < len(entries)


def _same(said: Closed, ours: Close | Closed | None) -> bool:
    if ours is None:
        return False
    return (said.receipts, said.agreed_wh, said.amounts_micro) == (ours.receipts, ours.agreed_wh, ours.amounts_micro)


def trades(view: View) -> list[Trade]:
    """All trades in the order in which they began."""
    found: dict[bytes, None] = {}
    position = 0
    while page := view.page(after=position):
        position = page[-1].position
        found.update((each.request_id, None) for each in page if each.type is EntryType.ACCEPT and each.request_id)
    return [each for request_id in found if (each := trade(view, request_id)) is not None]


def describe(trade_: Trade) -> str:
    """One line for a person."""
    service = trade_.request.service.name if trade_.request else "?"
    total = sum(trade_.amounts_micro)
    currency = trade_.offer.currency if trade_.offer else ""
    return (
        f"{service} {trade_.role.name.lower()} of {short(trade_.peer)}: {trade_.agreed_wh} Wh, "
        f"{total // 1_000_000}.{total % 1_000_000:06d} {currency}, {trade_.state}"
    )
