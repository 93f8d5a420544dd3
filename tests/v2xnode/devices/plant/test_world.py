import json

import pytest

from market.terms import Profile
from tests.support.power_harness import make_world
from v2xnode.devices.errors import DeviceDataInvalid
from v2xnode.devices.plain import to_plain
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.world import battery_of, load_of, parse_world
from v2xnode.devices.real_input import cabin, ev_models


@pytest.mark.parametrize("profile", Profile)
def test_a_world_survives_json(profile: Profile) -> None:
    world = make_world(profile, pairs=2)
    assert parse_world(json.loads(json.dumps(to_plain(world)))) == world


@pytest.mark.parametrize(
    ("sort", "name", "field", "value", "said"),
    [
        ("terminals", "p1", "battery", "nobody", "battery of terminal p1"),
        ("terminals", "p1", "battery", None, "either a battery or a load"),
        ("terminals", "p1", "loss_ppm", 600_000, "loss_ppm"),
        ("cables", "w1", "client", "nobody", "end of a cable"),
        ("cables", "w1", "client", "p1", "one cable at a time"),
        ("cables", "w1", "discharge_ms", 0, "discharge"),
        ("meters", "p1", "terminal", "nobody", "terminal of meter p1"),
        ("meters", "p1", "gain_ppm", 200_000, "gain_ppm"),
        ("meters", "p1", "import_wh", -1, "never negative"),
    ],
)
def test_what_is_wrong_is_named(sort: str, name: str, field: str, value: object, said: str) -> None:
    plain = to_plain(make_world(Profile.DC_BPT))
    plain[sort][name][field] = value
    with pytest.raises(DeviceDataInvalid, match=said):
        parse_world(plain)


def test_every_real_vehicle_and_load_lives_in_a_world() -> None:
    plain = to_plain(make_world(Profile.AC_OUTLET))
    plain["loads"]["c1"] = to_plain(load_of(cabin(), start_ms=0))
    for model in ev_models():
        plain["batteries"]["p1"] = to_plain(battery_of(model, soc_permille=1000))
        state = Plant(parse_world(plain)).state("p1")
        assert state.capacity_wh == model.usable_energy_wh
        assert state.soc_permille == 1000
        assert (state.max_discharge_w > 0) is (model.discharge_floor_soc_permille < 1000)
