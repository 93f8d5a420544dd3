"""Laws of the plant: energy balances to the microjoule, time can be cut anywhere, meters err each in its own way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.terms import Profile
from tests.support.power_harness import Bench, make_bench, make_world
from v2xnode.devices.errors import DeviceRefused, DeviceUnknown
from v2xnode.devices.interface import Direction, Permit, SetPower
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.quantity import UJ_PER_WH
from v2xnode.devices.plant.terminal import Fault
from v2xnode.devices.plant.world import Incident, WorldSpec

ALL = pytest.mark.parametrize("profile", Profile)


def running(profile: Profile, world: WorldSpec | None = None) -> Bench:
    bench = make_bench(profile, world=world)
    bench.energise()
    bench.run(1_000)
    return bench


def stored_uj(plant: Plant) -> int:
    return sum(battery.energy_uj for battery in plant.batteries.values())


def hold(plant: Plant, *, valid_ms: int = 10_000) -> None:
    plant.command("p1", [Permit(7_000, Direction.OUT, valid_ms)])
    if plant.terminals["c1"].needs_permit:
        plant.command("c1", [Permit(7_000, Direction.IN, valid_ms)])


@ALL
@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(1, 9_000), st.integers(0, 7_000)), max_size=8))
def test_energy_balances_exactly(profile: Profile, steps: list[tuple[int, int]]) -> None:
    bench = running(profile)
    plant = bench.plant
    for elapsed_ms, watts in steps:
        hold(plant)
        plant.command("p1", [SetPower(watts)])
        plant.advance(plant.now_ms + elapsed_ms)
    account = plant.cables["w1"].account
    assert account.taken == account.lost_at_provider + account.sent
    assert account.sent == account.lost_on_cable + account.received
    assert account.received == account.lost_at_client + account.stored + account.used
    assert min(account.as_plain().values()) >= 0
    start_uj = sum(spec.energy_wh for spec in plant.world.batteries.values()) * UJ_PER_WH
    assert start_uj - stored_uj(plant) == account.taken - account.stored
    assert account.used + account.stored > 0


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=12))
def test_time_can_be_cut_anywhere(cuts: list[int]) -> None:
    whole, cut = running(Profile.DC_BPT).plant, running(Profile.DC_BPT).plant
    start_ms = whole.now_ms
    for plant in (whole, cut):
        hold(plant)
    for offset_ms in sorted(cuts):
        cut.advance(start_ms + offset_ms)
    for plant in (whole, cut):
        plant.advance(start_ms + 20_000)
    assert list(cut.log.entries) == list(whole.log.entries)
    assert cut.report() == whole.report()
    assert cut.read("c1") == whole.read("c1")


@settings(max_examples=30, deadline=None)
@given(valid_ms=st.integers(1, 10_000))
def test_a_permit_ends_at_its_millisecond_in_the_middle_of_a_long_step(valid_ms: int) -> None:
    plant = running(Profile.DC_CONVERTER).plant
    hold(plant)
    plant.command("p1", [Permit(7_000, Direction.OUT, valid_ms)])
    until_ms = plant.now_ms + valid_ms
    plant.advance(plant.now_ms + 50_000)
    for terminal in ("p1", "c1"):
        assert plant.log.of("power", terminal)[-1] == {
            "at_ms": until_ms, "what": "power", "terminal": terminal, "power_w": 0,
        }  # fmt: skip
    assert plant.log.of("permit_ended", "p1")[-1]["at_ms"] == until_ms


def test_two_meters_measure_the_plant_each_with_its_own_error() -> None:
    bench = running(Profile.DC_CONVERTER)
    bench.run(600_000)
    plant = bench.plant
    account = plant.cables["w1"].account
    provider, client = plant.read("p1"), plant.read("c1")
    assert provider.export_wh == account.sent * 1_004_000 // (1_000_000 * UJ_PER_WH)
    assert client.import_wh == account.received * 994_000 // (1_000_000 * UJ_PER_WH)
    assert (provider.import_wh, client.export_wh) == (0, 0)
    assert provider.at_ms == plant.now_ms + 70
    assert client.at_ms == plant.now_ms + plant.now_ms * 50 // 1_000_000


def test_an_outlet_trips_on_a_load_that_does_not_curtail_and_feeds_one_that_does() -> None:
    for curtails, expected_w in ((False, 0), (True, 1_000)):
        bench = make_bench(Profile.AC_OUTLET, world=make_world(Profile.AC_OUTLET, curtails=curtails))
        bench.begin()
        bench.allow(max_power_w=1_000)
        bench.run(10_000)
        assert abs(bench.plant.sense("p1").power_w - expected_w) <= 1
        assert ("overload" in [entry["why"] for entry in bench.plant.log.of("contactor")]) is not curtails


def test_a_load_follows_its_profile() -> None:
    bench = running(Profile.AC_ISLAND)
    seen = set()
    for _ in range(300):
        bench.step(400)
        seen.add(bench.plant.sense("c1").power_w)
    assert seen == {-2_050, -3_070}


def test_a_battery_is_never_taken_below_its_floor_nor_above_its_capacity() -> None:
    bench = running(Profile.DC_BPT, make_world(Profile.DC_BPT, energy_wh=3_002))
    bench.run(60_000)
    plant = bench.plant
    assert plant.batteries["p1"].energy_uj >= 3_000 * UJ_PER_WH
    assert plant.sense("p1").limit_reason == "empty"
    assert plant.sense("p1").power_w < 10


def test_incidents_come_by_themselves() -> None:
    spec = make_world(Profile.DC_BPT)
    incidents = (Incident(at_ms=4_321, terminal="p1", fault=Fault.PULLED),)
    world = WorldSpec(
        batteries=spec.batteries, loads=spec.loads, terminals=spec.terminals, cables=spec.cables, incidents=incidents
    )
    plant = Plant(world)
    plant.advance(10_000)
    assert plant.log.of("fault")[0]["at_ms"] == 4_321
    assert not plant.sense("c1").plugged


def test_plugs_are_where_they_are_put_unless_locked() -> None:
    bench = make_bench(Profile.AC_OUTLET, pairs=2)
    plant = bench.plant
    plant.cross("w1", "w2")
    assert (plant.cables["w1"].client, plant.cables["w2"].client) == ("c2", "c1")
    with pytest.raises(DeviceRefused) as refusal:
        plant.plug("w1", "p1", "c1")
    assert refusal.value.code == "occupied"
    bench.begin()
    with pytest.raises(DeviceRefused) as refusal:
        plant.cross("w1", "w2")
    assert refusal.value.code == "locked"
    with pytest.raises(DeviceUnknown):
        plant.plug("w9", None, None)


def test_the_world_never_goes_back() -> None:
    plant = Plant(make_world(Profile.DC_BPT))
    plant.advance(5_000)
    plant.advance(1_000)
    assert plant.now_ms == 5_000


def test_a_manager_that_miscounts_says_so_and_the_cell_is_unmoved() -> None:
    plant = Plant(make_world(Profile.DC_BPT))
    plant.miscount("p1", -5_000)
    state = plant.state("p1")
    assert (state.usable_energy_wh, state.room_wh) == (32_000, 25_000)
    plant.miscount("p1", 0)
    assert plant.state("p1").usable_energy_wh == 37_000
