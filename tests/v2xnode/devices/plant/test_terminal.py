import pytest

from market.terms import Profile
from market.units import Role
from v2xnode.devices.interface import Direction
from v2xnode.devices.plant.terminal import Fault, HeldPermit, Terminal, TerminalSpec


def spec(profile: Profile = Profile.DC_BPT, role: Role = Role.PROVIDER, **changes: object) -> TerminalSpec:
    values = {"profile": profile, "role": role, "battery": "b", "max_power_w": 9_000, "max_current_ma": 30_000}
    return TerminalSpec(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"load": "l"}, {"battery": None}, {"battery": None, "load": "l"}, {"max_power_w": 0}, {"loss_ppm": 500_000}],
)
def test_an_impossible_device_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"terminal|must|either"):
        spec(**wrong)  # type: ignore[arg-type]


def test_only_a_permit_allows_power_and_the_least_counts() -> None:
    device = Terminal("t", spec())
    device.setpoint_w = 8_000
    assert device.allowed_w == 0
    device.permit = HeldPermit(3_000, Direction.OUT, 1)
    assert device.allowed_w == 3_000
    device.setpoint_w = 500
    assert device.allowed_w == 500


def test_an_outlets_load_decides_below_the_permit_and_a_client_there_needs_none() -> None:
    outlet = Terminal("o", spec(Profile.AC_OUTLET))
    outlet.permit = HeldPermit(2_000, Direction.OUT, 1)
    assert outlet.allowed_w == 2_000
    client = Terminal("c", spec(Profile.AC_OUTLET, Role.CLIENT))
    assert client.may_energise
    assert client.allowed_w == 9_000


def test_a_welded_contact_conducts_behind_an_open_feedback() -> None:
    device = Terminal("t", spec())
    device.close()
    device.faults.add(Fault.WELD)
    device.open()
    assert (device.closed, device.conducts, device.permit) == (False, True, None)
