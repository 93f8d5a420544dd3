import pytest

from market.terms import Connector as Plug
from market.terms import Electrical, Profile
from market.units import Role
from tests.support.power_harness import make_world
from v2xnode.config import parse_config
from v2xnode.devices.errors import DeviceUnknown
from v2xnode.devices.interface import DeviceSet
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.simulated import LocalPlant, simulated_devices
from v2xnode.errors import LocalError
from v2xnode.paths import Connector, Connectors, limits_of, open_connectors


def devices(*, battery: bool) -> DeviceSet:
    access = LocalPlant(Plant(make_world(Profile.DC_CONVERTER), lambda entry: None), lambda: 0)
    return simulated_devices(access, charger="p1", meter="p1", battery="p1" if battery else None)


def record(*profiles: Profile, low_mv: int = 200_000, high_mv: int = 900_000) -> Electrical:
    return Electrical(
        connectors=(Plug.CCS2,), profiles=profiles, voltage_min_mv=low_mv, voltage_max_mv=high_mv, continuous_va=50_000
    )


def test_a_connector_is_found_by_its_profile_and_role() -> None:
    outlet = Connector(Profile.AC_OUTLET, Role.PROVIDER, devices(battery=False))
    inlet = Connector(Profile.DC_CONVERTER, Role.CLIENT, devices(battery=True))
    connectors = Connectors([outlet, inlet])
    assert connectors.find(Profile.AC_OUTLET, Role.PROVIDER) is outlet
    assert connectors.find(Profile.AC_OUTLET, Role.CLIENT) is None
    assert connectors.battery is inlet.devices
    assert Connectors([outlet]).battery is None


def test_only_what_can_be_plugged_is_in_the_record_of_a_role() -> None:
    connectors = Connectors([Connector(Profile.DC_CONVERTER, Role.CLIENT, devices(battery=True))])
    whole = record(Profile.AC_OUTLET, Profile.DC_CONVERTER)
    assert connectors.record_as(Role.CLIENT, whole).profiles == (Profile.DC_CONVERTER,)
    with pytest.raises(LocalError) as refused:
        connectors.record_as(Role.PROVIDER, whole)
    assert refused.value.code == "no_path"


def test_the_largest_current_is_that_at_the_lowest_voltage() -> None:
    limits = limits_of(record(Profile.DC_BPT))
    assert (limits.max_current_ma, limits.max_power_w) == (250_000, 50_000)
    unknown = limits_of(record(Profile.DC_BPT, low_mv=0, high_mv=0))
    assert 0 < unknown.min_voltage_mv <= unknown.max_voltage_mv


async def test_a_driver_that_is_none_is_named() -> None:
    with pytest.raises(DeviceUnknown):
        async with open_connectors(parse_config('[devices]\ndriver = "nothing"\n')):
            pass
    async with open_connectors(parse_config("")) as none:
        assert none.battery is None
