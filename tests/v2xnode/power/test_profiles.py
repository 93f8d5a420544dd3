"""The profiles, against what the plant knows of physics."""

from market.terms import Profile
from market.units import Role
from v2xnode.devices.interface import Direction
from v2xnode.devices.plant.kind import KINDS
from v2xnode.power.profiles import PROFILES, direction_of
from v2xnode.power.steps import RISING


def test_the_profiles_say_what_is_physically_so() -> None:
    assert set(PROFILES) == set(KINDS) == set(Profile) == set(RISING)
    for name, profile in PROFILES.items():
        kind = KINDS[name]
        assert (profile.dc, profile.master, profile.needs_permit) == (kind.dc, kind.master, kind.needs_permit)


def test_energy_leaves_the_provider() -> None:
    assert direction_of(Role.PROVIDER) is Direction.OUT
    assert direction_of(Role.CLIENT) is Direction.IN
