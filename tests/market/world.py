"""One small trade for the tests of the market: a car with 60 kWh and a client that asks it for 5 kWh."""

from dataclasses import replace
from typing import Any

from market.policy import BatteryFacts, Case, Commitments, OwnerPolicy, StrangerRule
from market.pricing import FixedTariff
from market.terms import (
    Connector,
    Earthing,
    Electrical,
    LossRule,
    Offer,
    PriceKind,
    PriceStep,
    Profile,
    Request,
    Tolerance,
)
from market.units import MS_PER_HOUR, Role, Service, ServiceBits

NOW_MS = 1_780_000_000_000
CLIENT = bytes([1]) * 32
PROVIDER = bytes([2]) * 32
OTHER = bytes([3]) * 32
REQUEST_ID = bytes([7]) * 16

ELECTRICAL = Electrical(
    connectors=(Connector.CCS2,),
    profiles=(Profile.DC_CONVERTER, Profile.DC_BPT),
    voltage_min_mv=200_000,
    voltage_max_mv=500_000,
    continuous_va=11_000,
)
SOCKET = Electrical(
    connectors=(Connector.SCHUKO,),
    profiles=(Profile.AC_OUTLET, Profile.AC_ISLAND),
    voltage_min_mv=207_000,
    voltage_max_mv=253_000,
    continuous_va=3_600,
    phases=1,
    frequency_millihz=50_000,
    earthing=Earthing.TN,
    grid_forming=True,
)
REQUEST = Request(
    request_id=REQUEST_ID,
    provider=PROVIDER,
    service=Service.V2V,
    energy_wh=5_000,
    energy_min_wh=1_000,
    power_max_w=11_000,
    window_ms=2 * MS_PER_HOUR,
    price_max_micro_per_kwh=500_000,
)
OFFER = Offer(
    request_id=REQUEST_ID,
    energy_wh=10_000,
    power_w=10_000,
    profile=Profile.DC_CONVERTER,
    price_steps=(PriceStep(0, 300_000),),
    loss=LossRule(0, 0),
    exposure_wh=500,
    tolerance=Tolerance(0, 0),
)
POLICY = OwnerPolicy(
    services=ServiceBits.V2V | ServiceBits.V2H,
    tariff=FixedTariff(300_000),
    reserve_permille=300,
    strangers=StrangerRule.YES,
)
BATTERY = BatteryFacts(
    capacity_wh=60_000, usable_wh=40_000, maker_floor_wh=3_000, max_discharge_w=50_000, loss=LossRule(0, 0)
)
CASE = Case(
    request=REQUEST,
    client_key=CLIENT,
    provider=ELECTRICAL,
    client=ELECTRICAL,
    policy=POLICY,
    battery=BATTERY,
    now_ms=NOW_MS,
)


def offer(**changes: Any) -> Offer:
    """The offer with other terms; the reference meter follows the profile."""
    profile: Profile = changes.get("profile", OFFER.profile)
    return replace(OFFER, **{"reference": profile.reference_meter, **changes})


def priced(kind: PriceKind, *steps: tuple[int, int], **changes: Any) -> Offer:
    """The offer with these price steps."""
    return offer(price_kind=kind, price_steps=tuple(PriceStep(*step) for step in steps), **changes)


def request(**changes: Any) -> Request:
    return replace(REQUEST, **changes)


def battery(**changes: Any) -> BatteryFacts:
    return replace(BATTERY, **changes)


def policy(**changes: Any) -> OwnerPolicy:
    return replace(POLICY, **changes)


def committed(**changes: Any) -> Commitments:
    return replace(Commitments(), **changes)


def case(**changes: Any) -> Case:
    return replace(CASE, **changes)


def reference_offer(role: Role, **changes: Any) -> Offer:
    """An offer whose reference meter is this side's."""
    profile = Profile.DC_BPT if role is Role.CLIENT else Profile.DC_CONVERTER
    return offer(profile=profile, **changes)
