from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices.plant.meter import MeterSpec, PlantMeter
from v2xnode.devices.plant.quantity import UJ_PER_WH

FLOWS = st.lists(st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 10**6)), max_size=10)


@given(flows=FLOWS, gain_ppm=st.integers(-50_000, 50_000))
def test_registers_only_rise_and_lose_nothing_between_readings(flows: list[tuple[int, int]], gain_ppm: int) -> None:
    meter = PlantMeter(MeterSpec(terminal="t", gain_ppm=gain_ppm, import_wh=7, export_wh=9), 0)
    true_out = true_in = 0
    before = meter.read(0)
    for power_mw, elapsed_ms in flows:
        meter.flow(power_mw, elapsed_ms)
        true_out += max(0, power_mw) * elapsed_ms
        true_in += max(0, -power_mw) * elapsed_ms
        after = meter.read(0)
        assert after.import_wh >= before.import_wh
        assert after.export_wh >= before.export_wh
        before = after
    assert before.export_wh == 9 + true_out * (1_000_000 + gain_ppm) // 1_000_000 // UJ_PER_WH
    assert before.import_wh == 7 + true_in * (1_000_000 + gain_ppm) // 1_000_000 // UJ_PER_WH


def test_a_meter_keeps_its_own_time() -> None:
    meter = PlantMeter(MeterSpec(terminal="t", clock_offset_ms=-40, clock_drift_ppm=100), 1_000)
    assert meter.read(1_000).at_ms == 960
    assert meter.read(3_601_000).at_ms == 3_601_000 - 40 + 360
