from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.terms import Profile
from market.units import Role
from v2xnode.devices.errors import DeviceDataInvalid
from v2xnode.devices.interface import Insulation, PathSense, Permit, Pilot
from v2xnode.devices.plain import from_plain, to_plain

SENSES = st.builds(PathSense)


@given(SENSES)
def test_a_look_survives_the_journey(sense: PathSense) -> None:
    assert from_plain(PathSense, to_plain(sense)) == sense


@dataclass(frozen=True, slots=True)
class Nest:
    permits: tuple[Permit, ...] = ()
    pilot: Pilot | None = None
    insulation: Insulation = Insulation.VALID
    profile: Profile = Profile.DC_BPT


@pytest.mark.parametrize(
    ("plain", "place"),
    [
        ([], "nest"),
        ({"moon": 1}, "moon"),
        ({"permits": {}}, "nest.permits"),
        ({"permits": [{"max_power_w": 1}]}, r"permits\[0\]"),
        ({"permits": [{"max_power_w": True, "direction": "in", "valid_ms": 5}]}, r"permits\[0\].max_power_w"),
        ({"permits": [{"max_power_w": 1, "direction": "up", "valid_ms": 5}]}, r"permits\[0\].direction"),
        ({"permits": [{"max_power_w": 1, "direction": "in", "valid_ms": 0}]}, "valid_ms must be"),
        ({"pilot": 7}, "nest.pilot"),
        ({"profile": "moon"}, "nest.profile: expected one of dc_bpt"),
        ({"profile": "DC_BPT"}, "nest.profile"),
        ({"profile": 1}, "nest.profile"),
        ({"profile": True}, "nest.profile"),
        ({"profile": []}, "nest.profile"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(plain: object, place: str) -> None:
    with pytest.raises(DeviceDataInvalid, match=place):
        from_plain(Nest, plain, "nest")


def test_what_is_left_out_takes_its_default() -> None:
    assert from_plain(Nest, {"pilot": "C"}) == Nest(pilot=Pilot.READY)


@pytest.mark.parametrize(("member", "name"), [(Profile.DC_BPT, "dc_bpt"), (Role.PROVIDER, "provider")])
def test_what_is_a_number_on_the_wire_goes_by_its_name(member: Profile | Role, name: str) -> None:
    assert to_plain(member) == name
    assert from_plain(type(member), name) is member
