"""The profiles, against what the plant knows of physics."""

from v2xnode.devices.interface import Direction, Profile, Side
from v2xnode.devices.plant.kind import KINDS
from v2xnode.power.profiles import PROFILES, SERVICES, Service, SilenceRule, direction_of
from v2xnode.power.steps import RISING


def test_the_profiles_say_what_is_physically_so() -> None:
    assert set(PROFILES) == set(KINDS) == set(Profile) == set(RISING)
    for name, profile in PROFILES.items():
        kind = KINDS[name]
        assert (profile.dc, profile.master, profile.needs_permit) == (kind.dc, kind.master, kind.needs_permit)


def test_a_silent_client_is_a_blackout_only_where_that_does_no_greater_harm() -> None:
    rules = {service: rule for service, (rule, _) in SERVICES.items()}
    assert rules[Service.V2V] is SilenceRule.OFF_WITHIN_PERMIT
    assert rules[Service.V2L] is rules[Service.V2H] is SilenceRule.ON_TO_EXPOSURE
    assert {profile for _, profiles in SERVICES.values() for profile in profiles} == set(Profile)


def test_energy_leaves_the_provider() -> None:
    assert direction_of(Side.PROVIDER) is Direction.OUT
    assert direction_of(Side.CLIENT) is Direction.IN
