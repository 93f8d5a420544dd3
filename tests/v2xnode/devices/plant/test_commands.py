"""What the device refuses by itself, and what it writes down against the one who asked."""

import pytest

from market.terms import Profile
from tests.support.power_harness import make_bench
from v2xnode.devices.errors import DeviceRefused
from v2xnode.devices.interface import CableCheck, Close, Direction, Emit, Lock, Open, Permit, Precharge, Unlock
from v2xnode.devices.plant.path import UNSEEN_MS
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.terminal import Fault


def rules(plant: Plant) -> set[str]:
    return {entry["rule"] for entry in plant.log.of("violation")}


def refused(plant: Plant, terminal: str, command: Lock | Unlock | Emit | Precharge | Close) -> str:
    with pytest.raises(DeviceRefused) as refusal:
        plant.command(terminal, [command])
    return refusal.value.code


def test_a_live_connector_does_not_unlock_and_asking_is_a_violation() -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise()
    assert refused(bench.plant, "p1", Unlock()) == "live"
    assert rules(bench.plant) == {"unlock_live"}
    assert bench.plant.sense("p1").locked


def test_closing_unchecked_unlocked_or_on_another_voltage_is_a_violation() -> None:
    plant = make_bench(Profile.DC_BPT).plant
    plant.command("p1", [Permit(1_000, Direction.OUT, 1_000), Close()])
    assert rules(plant) == {"close_unchecked", "close_unlocked", "close_unmatched"}


@pytest.mark.parametrize(
    ("later_ms", "broken"), [(UNSEEN_MS, set()), (UNSEEN_MS + 1, {"close_unchecked", "close_unmatched"})]
)
def test_closing_in_the_moment_in_which_the_master_opens_can_not_be_known_and_later_is_a_violation(
    later_ms: int, broken: set[str]
) -> None:
    bench = make_bench(Profile.DC_BPT)
    bench.energise()
    plant = bench.plant
    plant.command("p1", [Open()])
    plant.command("c1", [Open()])
    plant.advance(plant.now_ms + later_ms)
    plant.command("p1", [Permit(1_000, Direction.OUT, 1_000), Close()])
    assert rules(plant) == broken
    assert plant.sense("p1").power_w == 0


def test_no_pattern_on_a_live_cable_nor_from_the_follower() -> None:
    bench = make_bench(Profile.DC_BPT)
    assert refused(bench.plant, "p1", Emit(1)) == "not_this_side"
    bench.energise()
    assert refused(bench.plant, "c1", Emit(1)) == "live"


def test_a_pattern_stays_below_60_v_and_one_that_is_cut_is_never_read() -> None:
    plant = make_bench(Profile.DC_BPT).plant
    plant.command("c1", [Lock(), CableCheck(True), Emit(0xF0A5)])
    levels = []
    for _ in range(8):
        levels.append(plant.sense("p1").output_voltage_mv)
        plant.advance(plant.now_ms + 50)
    assert max(levels) < 60_000
    assert sorted(set(levels)) == [12_000, 22_000, 32_000, 42_000]
    assert plant.sense("p1").pattern_read == 0xF0A5
    plant.command("c1", [Emit(0x1234)])
    plant.advance(plant.now_ms + 399)
    plant.command("c1", [Permit(1, Direction.IN, 500), Precharge(300_000)])
    plant.advance(plant.now_ms + 5_000)
    assert plant.sense("p1").pattern_read is None


def test_nothing_locks_without_a_plug() -> None:
    plant = make_bench(Profile.DC_BPT).plant
    plant.inject("c1", Fault.PULLED)
    assert refused(plant, "p1", Lock()) == "not_plugged"
