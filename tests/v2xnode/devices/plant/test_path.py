"""How voltages come and go."""

from market.terms import Profile
from tests.support.power_harness import make_bench
from v2xnode.devices.interface import Close, Direction, Open, Permit, Port, Precharge
from v2xnode.devices.plant.plant import Plant


def output_mv(plant: Plant, elapsed_ms: int) -> int:
    plant.advance(plant.now_ms + elapsed_ms)
    return plant.sense("c1").output_voltage_mv


def test_a_precharged_cable_rises_holds_and_falls_when_it_is_let_go() -> None:
    plant = make_bench(Profile.DC_CONVERTER).plant
    plant.command("p1", [Permit(1_000, Direction.OUT, 10_000), Precharge(300_000)])
    assert [output_mv(plant, ms) for ms in (200, 200, 3_000)] == [150_000, 300_000, 300_000]
    plant.command("p1", [Open()])
    assert [output_mv(plant, ms) for ms in (400, 400)] == [150_000, 0]


def test_opening_again_does_not_begin_the_discharge_anew() -> None:
    plant = make_bench(Profile.DC_CONVERTER).plant
    plant.command("p1", [Permit(1_000, Direction.OUT, 10_000), Precharge(300_000)])
    output_mv(plant, 1_000)
    plant.command("p1", [Open()])
    output_mv(plant, 700)
    plant.command("p1", [Open()])
    assert output_mv(plant, 100) == 0


def test_a_vehicle_that_stays_closed_keeps_the_cable_live_until_it_opens() -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise()
    plant = bench.plant
    plant.command("p1", [Permit(1_000, Direction.OUT, 10_000)])
    plant.command("c1", [Open()])
    assert output_mv(plant, 2_000) == plant.batteries["p1"].voltage_mv
    plant.command("p1", [Open()])
    assert output_mv(plant, 1_000) == 0


def test_a_converters_own_bus_is_not_the_cable() -> None:
    plant = make_bench(Profile.DC_CONVERTER).plant
    battery_mv = plant.batteries["p1"].voltage_mv
    plant.command("p1", [Permit(1_000, Direction.OUT, 10_000), Precharge(battery_mv, Port.BUS)])
    plant.advance(1_000)
    assert (plant.sense("p1").bus_voltage_mv, plant.sense("p1").output_voltage_mv) == (battery_mv, 0)
    plant.command("p1", [Close(), Open()])
    plant.advance(2_000)
    assert plant.sense("p1").bus_voltage_mv == 0


def test_an_outlet_is_230_v_or_nothing() -> None:
    bench = make_bench(Profile.AC_OUTLET)
    bench.energise()
    assert output_mv(bench.plant, 0) == 230_000
    bench.plant.command("p1", [Open()])
    assert output_mv(bench.plant, 0) == 0
