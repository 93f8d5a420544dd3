import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices.plant.battery import BatterySpec, PlantBattery
from v2xnode.devices.plant.quantity import UJ_PER_WH
from v2xnode.devices.real_input import TaperPoint


def battery(energy_wh: int) -> PlantBattery:
    taper = (TaperPoint(0, 500), TaperPoint(200, 1000), TaperPoint(800, 1000), TaperPoint(1000, 50))
    return PlantBattery(
        BatterySpec(
            capacity_wh=50_000,
            energy_wh=energy_wh,
            floor_wh=5_000,
            max_charge_w=100_000,
            max_discharge_w=20_000,
            taper=taper,
        )
    )


@pytest.mark.parametrize(
    ("soc_permille", "limit_w"), [(0, 50_000), (100, 75_000), (200, 100_000), (500, 100_000), (900, 52_500), (1000, 0)]
)
def test_charging_tapers_along_its_points(soc_permille: int, limit_w: int) -> None:
    assert battery(soc_permille * 50).charge_limit_mw(1_000) == limit_w * 1000


@given(energy_wh=st.integers(0, 50_000), grid_ms=st.integers(100, 60_000))
def test_a_limit_never_leads_past_floor_or_capacity_within_its_time(energy_wh: int, grid_ms: int) -> None:
    cell = battery(energy_wh)
    out_mw, in_mw = cell.discharge_limit_mw(grid_ms), cell.charge_limit_mw(grid_ms)
    assert out_mw == 0 or cell.energy_uj - out_mw * grid_ms >= 5_000 * UJ_PER_WH
    assert cell.energy_uj + in_mw * grid_ms <= 50_000 * UJ_PER_WH
    assert out_mw <= 20_000_000


def test_heat_derates_and_says_why() -> None:
    cell = battery(25_000)
    assert cell.limit_reason(False, 1_000) == ""
    cell.heat.millicelsius = 52_500
    assert cell.discharge_limit_mw(1_000) == 10_000_000
    assert cell.limit_reason(False, 1_000) == "thermal"
    cell.heat.millicelsius = 70_000
    assert cell.charge_limit_mw(1_000) == 0


def test_the_voltage_rises_with_the_charge() -> None:
    assert [battery(wh).voltage_mv for wh in (0, 25_000, 50_000)] == [320_000, 360_000, 400_000]


@pytest.mark.parametrize(
    "wrong",
    [{"energy_wh": 2}, {"capacity_wh": 0, "energy_wh": 0}, {"max_charge_w": 0}, {"empty_voltage_mv": 500_000},
     {"taper": ()}, {"derate_from_millicelsius": 99_000}],
)  # fmt: skip
def test_an_impossible_battery_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must|taper"):
        BatterySpec(**({"capacity_wh": 1, "energy_wh": 1, "max_charge_w": 1, "max_discharge_w": 1} | wrong))  # type: ignore[arg-type]
