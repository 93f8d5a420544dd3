"""Each injected fault is felt where it would be, and nowhere when it is taken back."""

from collections.abc import Callable

import pytest

from market.terms import Profile
from tests.support.power_harness import make_bench
from v2xnode.devices.interface import PathSense, Pilot
from v2xnode.devices.plant.terminal import Fault

FELT: list[tuple[Profile, str, Fault, Callable[[PathSense], bool]]] = [
    (Profile.DC_BPT, "c1", Fault.INSULATION, lambda look: look.insulation_ohm < 20_000 and not look.ready),
    (Profile.DC_BPT, "p1", Fault.HOT, lambda look: look.connector_millicelsius > 90_000),
    (Profile.DC_BPT, "p1", Fault.EARTH, lambda look: not look.earth_ok),
    (Profile.DC_BPT, "p1", Fault.REVERSED, lambda look: look.output_voltage_mv < -200_000),
    (Profile.DC_BPT, "p1", Fault.SECOND_MONITOR, lambda look: look.monitor_on),
    (Profile.DC_BPT, "p1", Fault.PILOT, lambda look: look.pilot is Pilot.FAULT),
    (Profile.DC_BPT, "p1", Fault.OVERVOLTAGE, lambda look: look.output_voltage_mv > 500_000),
    (Profile.AC_OUTLET, "p1", Fault.RCD, lambda look: look.rcd_ok is False),
    (Profile.AC_ISLAND, "c1", Fault.GRID_CLOSED, lambda look: look.grid_open is False and look.pilot is Pilot.PLUGGED),
    (Profile.AC_ISLAND, "c1", Fault.GRID_LIVE, lambda look: look.grid_dead is False),
    (Profile.AC_ISLAND, "c1", Fault.UNBONDED, lambda look: look.neutral_bonded is False),
]


@pytest.mark.parametrize(("profile", "terminal", "fault", "felt"), FELT)
def test_a_fault_is_felt(profile: Profile, terminal: str, fault: Fault, felt: Callable[[PathSense], bool]) -> None:
    bench = make_bench(profile)
    bench.energise()
    assert not felt(bench.plant.sense(terminal))
    bench.plant.inject(terminal, fault)
    assert felt(bench.plant.sense(terminal))
    bench.plant.inject(terminal, fault, False)
    if fault is not Fault.RCD:  # tripped stays tripped until it is tested again
        assert not felt(bench.plant.sense(terminal))
