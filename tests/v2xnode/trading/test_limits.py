import pytest

from market.policy import StrangerRule
from market.pricing import FixedTariff, TimeOfUseTariff
from market.units import ServiceBits
from v2xnode.config import Config, parse_config
from v2xnode.errors import ConfigError
from v2xnode.trading.limits import owner_policy, site_zone


def owner(text: str) -> Config:
    return parse_config(f"[owner]\n{text}\n")


def test_an_owner_who_says_nothing_sells_nothing_and_is_asked_about_strangers() -> None:
    policy = owner_policy(owner(""))
    assert policy.services == ServiceBits(0)
    assert policy.strangers is StrangerRule.ASK
    assert isinstance(policy.tariff, FixedTariff)
    assert (policy.departure, policy.fees) == (None, ())


def test_what_is_configured_is_in_the_policy() -> None:
    listed = "ab" * 32
    text = (
        'provides = ["V2V", "V2H"]\ndeparture_at_ms = 5\ndeparture_energy_wh = 7\nsession_fee_micro = 9\n'
        f'allow = ["{listed}"]\nexposure_wh = {{ V2V = 250 }}\n'
        "price_steps = [{ from_minute = 0, price_micro_per_kwh = 1 }]"
    )
    policy = owner_policy(owner(text))
    assert policy.services == ServiceBits.V2V | ServiceBits.V2H
    assert policy.departure is not None
    assert policy.departure.energy_wh == 7
    assert policy.allow == {bytes.fromhex(listed)}
    assert policy.exposure.v2v_wh == 250
    assert [fee.amount_micro for fee in policy.fees] == [9]
    assert isinstance(policy.tariff, TimeOfUseTariff)


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "../etc/passwd", "/etc/passwd"])
def test_a_time_zone_that_is_none_is_a_configuration_error(zone: str) -> None:
    with pytest.raises(ConfigError):
        site_zone(parse_config(f'[node]\ntime_zone = "{zone}"\n'))
