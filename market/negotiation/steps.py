"""The steps of a negotiation beyond the common ones of `market.machine`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from market.errors import Reason, Refusal
from market.machine import Common, LinkLost, Received, Recorded
from market.terms import Confirm, Counter, Decline, Message, Offer, Reject

# Events of both sides


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Our owner takes the request, or the offer, back."""

    reason: Reason = Reason.WITHDRAWN


# The provider's events and effects


@dataclass(frozen=True, slots=True)
class Decision:
    """What the owner's policy answers to the request or to the counter that was asked about.

    An Offer carries the counter's number (0: the request's).
    """

    answer: Offer | Decline


@dataclass(frozen=True, slots=True)
class Decided:
    """Confirm or Reject is appended, answering the Accept; a Confirm's locks were taken in the same commit."""

    answer: Confirm | Reject
    digest: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the policy about this counter; its answer is a Decision."""

    counter: Counter


@dataclass(frozen=True, slots=True)
class Decide:
    """The live offer was accepted in time. In one commit: check it again, append Confirm and take the locks, or append
    Reject, answering `accept`. Then give Decided, or LedgerFailed."""

    offer: Offer
    accept: bytes


@dataclass(frozen=True, slots=True)
class Confirmed:
    """There is an agreement: delivery begins, its start_by counts from now."""

    offer: Offer
    accept: bytes
    confirm: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """No agreement came of this request, or none any more: whatever it has locked is free."""

    reason: Reason


# The client's events and effects


@dataclass(frozen=True, slots=True)
class InSession:
    """A step of one of the client's sessions, named by its request id: an event on the way in, an effect on the way
    out."""

    request_id: bytes
    step: "Received[Message] | Recorded | LinkLost | Common"


@dataclass(frozen=True, slots=True)
class Agreed:
    """The provider confirmed: delivery begins. `offer_digest`, `confirm`: the hashes of its two answers."""

    request_id: bytes
    offer: Offer
    offer_digest: bytes
    confirm: bytes


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No provider is left, or the owner withdrew. Why each did not come to an agreement, by request id; offers that
    the ranker left out are not among them: it knows why."""

    refusals: tuple[tuple[bytes, Refusal], ...]


Rank = Callable[[Sequence[tuple[bytes, Offer]]], Sequence[bytes]]
"""Best first by request id; what is not feasible is left out."""

Haggle = Callable[[Offer, int], Counter | None]
"""The counter to an offer, numbered as given (1 to 3), or None to leave it as it is."""

ProviderEffect = Common | Ask | Decide | Confirmed | Ended
ClientEffect = InSession | Agreed | GaveUp
