"""The owner's limits as configured, turned into the policy's value."""

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from market.errors import TermsInvalid
from market.policy import Departure, ExposureLimits, OwnerPolicy, StrangerRule
from market.pricing import DayStep, FixedTariff, Tariff, TimeOfUseTariff
from market.terms import Fee, FeeKind
from market.units import Service, ServiceBits
from v2xnode.config import Config, OwnerSection
from v2xnode.errors import ConfigError


def site_zone(config: Config) -> tzinfo:
    """The site's time zone. Raises ConfigError for a name that is none."""
    try:
        return ZoneInfo(config.node.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, e.g. Europe
        raise ConfigError(f"node.time_zone: {config.node.time_zone} is no time zone, e.g. Europe/Berlin.") from None


def owner_policy(config: Config) -> OwnerPolicy:
    """The limits with which the node starts. Raises ConfigError for values that contradict each other."""
    owner = config.owner
    try:
        return OwnerPolicy(
            services=_bits(config.services),
            tariff=_tariff(owner, site_zone(config)),
            reserve_permille=owner.reserve_permille,
            departure=_departure(owner),
            max_power_w=owner.max_power_w,
            daily_cap_wh=owner.daily_cap_wh,
            price_tell_micro_per_kwh=owner.price_tell_micro_per_kwh,
            price_stop_micro_per_kwh=owner.price_stop_micro_per_kwh,
            allow=frozenset(map(bytes.fromhex, owner.allow)),
            block=frozenset(map(bytes.fromhex, owner.block)),
            only_listed=owner.only_listed,
            strangers=StrangerRule[owner.strangers.upper()],
            debt_cap_micro=owner.debt_cap_micro,
            stranger_debt_cap_micro=owner.stranger_debt_cap_micro,
            say_would_pass=owner.say_would_pass,
            exposure=ExposureLimits(**{f"{name.lower()}_wh": wh for name, wh in owner.exposure_wh.items()}),
            fees=(Fee(FeeKind.SESSION, owner.session_fee_micro),) if owner.session_fee_micro else (),
            tax_permyriad=owner.tax_permyriad,
            currency=config.node.currency,
        )
    except TermsInvalid as problem:
        raise ConfigError(f"owner: {problem}") from None


def _bits(services: frozenset[Service]) -> ServiceBits:
    bits = ServiceBits(0)
    for service in services:
        bits |= service.bit
    return bits


def _tariff(owner: OwnerSection, zone: tzinfo) -> Tariff:
    if not owner.price_steps:
        return FixedTariff(owner.price_micro_per_kwh)
    steps = tuple(DayStep(step.from_minute, step.price_micro_per_kwh) for step in owner.price_steps)
    return TimeOfUseTariff(steps, zone)


def _departure(owner: OwnerSection) -> Departure | None:
    return Departure(owner.departure_at_ms, owner.departure_energy_wh) if owner.departure_at_ms else None
