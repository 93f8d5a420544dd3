"""Messages and machines of a trade with plain values, for tests that change only what they are about."""

from typing import Any

from market.delivery import Agreement, ClientDelivery, ProviderDelivery
from market.terms import LossRule, Offer, PriceStep, Profile, Request, SilenceRule, Tolerance
from market.units import Role, Service

PROVIDER = b"P" * 32
CLIENT = b"C" * 32
REQUEST_ID = b"r" * 16


def digest(name: str) -> bytes:
    """A hash to tell messages apart by."""
    return name.encode().ljust(32, b".")


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "request_id": REQUEST_ID,
        "provider": PROVIDER,
        "service": Service.V2V,
        "energy_wh": 10_000,
        "energy_min_wh": 1_000,
        "power_max_w": 11_000,
        "window_ms": 7_200_000,
        "price_max_micro_per_kwh": 500_000,
    }
    return Request(**(values | changes))


def offer(**changes: Any) -> Offer:
    values: dict[str, Any] = {
        "request_id": REQUEST_ID,
        "energy_wh": 10_000,
        "power_w": 11_000,
        "profile": Profile.DC_CONVERTER,
        "reference": Role.PROVIDER,
        "price_steps": (PriceStep(0, 300_000),),
        "loss": LossRule(0, 0),
        "exposure_wh": 500,
        "interval_ms": 60_000,
        "silence": SilenceRule.POWER_OFF,
        "tolerance": Tolerance(20, 30_000),
    }
    return Offer(**(values | changes))


def agreement(offered: Offer, peer: bytes, **changes: Any) -> Agreement:
    values: dict[str, Any] = {
        "offer": offered,
        "peer": peer,
        "answers": digest("before"),
        "start_by_ms": offered.start_within_ms,
        "power_max_w": offered.power_w,
    }
    return Agreement(**(values | changes))


def counted_nonces() -> Any:
    """A fresh nonce each time, the same in each run."""
    numbers = iter(range(1, 1_000_000))
    return lambda: next(numbers).to_bytes(8, "big")


def pair(offered: Offer, **changes: Any) -> tuple[ProviderDelivery, ClientDelivery]:
    """The two machines of one agreement."""
    return (
        ProviderDelivery(agreement(offered, CLIENT, **changes), now_ms=0),
        ClientDelivery(agreement(offered, PROVIDER, **changes), counted_nonces(), now_ms=0),
    )
