"""What both sides go by once the provider has confirmed."""

from dataclasses import dataclass

from market.terms import Offer, Request
from market.units import MAX_ENERGY_WH


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One side's view of an agreement.

    peer: the other side's key. answers: hash of the peer's newest entry or signed message of this session, which our
    first entry will answer (provider: the Accept; client: the Confirm, or the Offer while the Confirm is awaited).
    start_by_ms: monotonic; Receipt 0 must be there by then (provider: start_within_ms from Confirm; client: the same
    from hearing of it). ends_at_ms: UTC end of the window, 0 for none. Power between power_min_w and power_max_w.
    energy_max_wh: what the client asked for, where the offer is of more.
    """

    offer: Offer
    peer: bytes
    answers: bytes
    start_by_ms: int
    power_max_w: int
    power_min_w: int = 0
    ends_at_ms: int = 0
    energy_max_wh: int = MAX_ENERGY_WH

    @classmethod
    def of(
        cls, request: Request, offer: Offer, *, peer: bytes, answers: bytes, confirmed_ms: int, confirmed_at_ms: int
    ) -> "Agreement":
        """From what was asked and offered; the Confirm's time on the monotonic and on the wall clock."""
        start_at_ms = offer.start_at_ms or request.start_at_ms or confirmed_at_ms
        return cls(
            offer=offer,
            peer=peer,
            answers=answers,
            start_by_ms=confirmed_ms + offer.start_within_ms,
            power_max_w=min(offer.power_w, request.power_max_w),
            power_min_w=request.power_min_w,
            ends_at_ms=start_at_ms + request.window_ms,
            energy_max_wh=request.energy_wh,
        )

    @property
    def grace_ms(self) -> int:
        """How long the last Receipt is awaited before Close: min(10 s, a quarter interval)."""
        return min(MAX_GRACE_MS, self.offer.interval_ms // 4)


MAX_GRACE_MS = 10_000
"""Longer, and a client that left keeps the connector locked (protocol: Exposure and silence)."""
