"""What the ledger holds of sessions that are not over: a node that comes back goes on from here."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.store.view import View
from market.delivery import Agreement, Restart, Standing, Written, standing
from market.errors import Reason
from market.terms import Accept, Confirm, Offer, Request
from market.units import Role
from v2xnode.envelope import Link, message_of
from v2xnode.settling.bill import held_from_accept
from v2xnode.settling.trades import trade
from v2xnode.trading.books import is_told_outside, stop_reason


@dataclass(frozen=True, slots=True)
class Remains:
    """One session, from its Accept on.

    offer_hash: what the Accept answers. accepts: hashes of all Accepts held. confirmed: the last was. unsaid: entries
    of ours that the peer may not have. said: hashes of all entries of ours, oldest first. holds: it has something
    locked, and so perhaps a power path to bring down. reason: why the session ends, as far as anybody said so.
    """

    request_id: bytes
    role: Role
    peer: bytes
    request: Request
    offer: Offer
    offer_hash: bytes
    accepts: frozenset[bytes]
    confirmed: bool
    stands: Standing
    reason: Reason
    unsaid: tuple[Link, ...]
    said: tuple[bytes, ...]
    holds: bool

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be written."""
        return self.stands.written is Written.END

    @property
    def is_sale(self) -> bool:
        """Whether we are the provider."""
        return self.role is Role.PROVIDER

    @property
    def first(self) -> Sequence[object]:
        """What its delivery machine has to hear first."""
        restart = Restart(self.reason, self.stands.written)
        return [restart] if self.stands.their_close is None else [restart, self.stands.their_close]

    @property
    def to_say(self) -> tuple[Link, ...]:
        """What still has to reach the peer; a session without a Receipt is voided, and nothing before that matters."""
        return self.unsaid if self.is_over or self.stands.account.receipts else ()

    def agreement(self, now_ms: int, now_at_ms: int) -> Agreement:
        """What its delivery goes by; the times no longer count."""
        return Agreement.of(
            self.request,
            self.offer,
            peer=self.peer,
            answers=self.stands.answers or self.offer_hash,
            confirmed_ms=now_ms,
            confirmed_at_ms=now_at_ms,
        )


def remains(view: View, request_id: bytes) -> Remains | None:
    """What is left of a session; None for one that never came to an Accept, or whose bodies were dropped."""
    found = trade(view, request_id)
    if found is None or found.state == "netted" or found.request is None or found.offer is None:
        return None
    held, offer_hash = held_from_accept(found)
    stands = standing(found.role, found.offer, held)
    waiting = [each.signed for each in view.outbox(found.peer) if each.signed.request_id == request_id]
    unsaid = [signed for signed in waiting if not is_told_outside(signed)]
    return Remains(
        request_id=request_id,
        role=found.role,
        peer=found.peer,
        request=found.request,
        offer=found.offer,
        offer_hash=offer_hash,
        accepts=frozenset(stored.hash for stored, message in found.entries if isinstance(message, Accept)),
        confirmed=any(isinstance(each.message, Confirm) for each in held),
        stands=stands,
        reason=stands.reason or stop_reason(view, request_id) or Reason.SHUTDOWN,
        said=tuple(each.digest for each in held if each.own),
        unsaid=tuple(Link(message_of(signed), signed) for signed in unsaid),
        holds=request_id in running(view),
    )


def running(view: View) -> list[bytes]:
    """Sessions that hold something locked: they ran when the node went down."""
    return list(dict.fromkeys(lock.request_id for lock in view.locks()))


def unheard(view: View) -> list[bytes]:
    """Sessions of which a provider lacks something that we as its client have written, and which hold no lock."""
    busy = set(running(view))
    waiting = dict.fromkeys(each.signed.request_id for each in view.outbox() if not is_told_outside(each.signed))
    found = [trade(view, request_id) for request_id in waiting if request_id is not None and request_id not in busy]
    return [each.request_id for each in found if each is not None and each.role is Role.CLIENT]
