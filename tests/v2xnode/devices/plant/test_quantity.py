from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices.plant.quantity import Ramp, Thermal, resistive_loss_mw, share_mw, watts_shown


@given(st.integers(-(10**9), 10**9))
def test_only_a_true_0_is_shown_as_0(power_mw: int) -> None:
    shown = watts_shown(power_mw)
    assert (shown == 0) is (power_mw == 0)
    assert abs(abs(shown) * 1000 - abs(power_mw)) < 1000


def test_loss_in_a_wire() -> None:
    assert resistive_loss_mw(8_000_000, 400_000, 100) == 40_000  # 20 A through 0.1 ohm
    assert resistive_loss_mw(8_000_000, 0, 100) == 0
    assert share_mw(1_000_001, 1_000) == 1_001


@given(a=st.integers(-500_000, 500_000), b=st.integers(-500_000, 500_000), at=st.integers(-10, 1_010))
def test_a_ramp_stays_between_its_ends(a: int, b: int, at: int) -> None:
    ramp = Ramp(a, b, 0, 1_000)
    assert min(a, b) <= ramp.at(at) <= max(a, b)
    assert (ramp.at(0), ramp.at(1_000)) == (a, b)


def test_heat_goes_with_the_square_of_the_load_and_cools_again() -> None:
    full, half = Thermal(20_000, 40_000, 10_000), Thermal(20_000, 40_000, 10_000)
    for _ in range(200):
        full.step(100, 100, 1_000)
        half.step(50, 100, 1_000)
    assert abs(full.millicelsius - 60_000) < 20
    assert abs(half.millicelsius - 30_000) < 20
    for _ in range(200):
        full.step(0, 100, 1_000)
    assert abs(full.millicelsius - 20_000) < 20
