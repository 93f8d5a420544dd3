"""What every driver of a power path must keep. A driver's test gives `paired_devices`: two sides that are plugged to
each other, the first the master, and a way to let world time pass."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from v2xnode.devices.errors import DeviceRefused
from v2xnode.devices.interface import (
    MAX_COMMANDS,
    MAX_PERMIT_MS,
    Battery,
    CableCheck,
    Charger,
    Close,
    DeviceSet,
    Direction,
    Emit,
    Lock,
    Meter,
    Open,
    Permit,
    Pilot,
    PilotReady,
    Precharge,
    SetPower,
    Unlock,
)


@dataclass(frozen=True, slots=True)
class PairedDevices:
    """master, follower: DC, plugged, at rest. wait: let this many world milliseconds pass."""

    master: DeviceSet
    master_direction: Direction
    follower: DeviceSet
    wait: Callable[[int], Awaitable[None]]


class DeviceContract:
    """Inherit, and give the fixture `pair`."""

    async def test_parts_are_what_they_say(self, pair: PairedDevices) -> None:
        assert isinstance(pair.master.charger, Charger)
        assert isinstance(pair.master.meter, Meter)
        assert isinstance(pair.follower.battery, Battery)

    async def test_at_rest_nothing_is_closed_live_or_permitted(self, pair: PairedDevices) -> None:
        look = await pair.master.charger.sense()
        assert look.plugged
        assert not look.locked
        assert not look.contactor_closed
        assert (look.permit_left_ms, look.power_w, look.current_ma) == (0, 0, 0)
        assert abs(look.output_voltage_mv) < 60_000

    async def test_lock_and_unlock(self, pair: PairedDevices) -> None:
        await pair.master.charger.command([Lock()])
        assert (await pair.master.charger.sense()).locked
        await pair.master.charger.command([Unlock()])
        assert not (await pair.master.charger.sense()).locked

    async def test_the_pilot_tells_the_other_side(self, pair: PairedDevices) -> None:
        assert (await pair.master.charger.sense()).pilot is Pilot.PLUGGED
        await pair.follower.charger.command([PilotReady(True)])
        assert (await pair.master.charger.sense()).pilot is Pilot.READY
        with pytest.raises(DeviceRefused) as refusal:
            await pair.master.charger.command([PilotReady(True)])
        assert refusal.value.code == "not_this_side"

    async def test_a_pattern_is_read_by_the_other_side_only_after_its_check_began(self, pair: PairedDevices) -> None:
        await pair.follower.charger.command([CableCheck(False)])
        await pair.master.charger.command([CableCheck(True), Emit(0xBEEF)])
        await pair.wait(1_000)
        assert (await pair.follower.charger.sense()).pattern_read == 0xBEEF
        await pair.follower.charger.command([CableCheck(False)])
        await pair.wait(1)
        assert (await pair.follower.charger.sense()).pattern_read is None

    @pytest.mark.parametrize("command", [Precharge(300_000), Close(), SetPower(100)])
    async def test_nothing_energises_without_a_permit(
        self, pair: PairedDevices, command: Precharge | Close | SetPower
    ) -> None:
        with pytest.raises(DeviceRefused) as refusal:
            await pair.master.charger.command([command])
        assert refusal.value.code == "no_permit"

    async def test_what_lets_go_is_never_refused(self, pair: PairedDevices) -> None:
        for side in (pair.master, pair.follower):
            await side.charger.command([SetPower(0), Precharge(0), CableCheck(False), Open(), Open()])

    async def test_a_permit_that_is_not_renewed_opens_the_contactor(self, pair: PairedDevices) -> None:
        permit = Permit(1_000, pair.master_direction, 500)
        await pair.master.charger.command([permit, Close()])
        look = await pair.master.charger.sense()
        assert look.contactor_closed
        assert 0 < look.permit_left_ms <= 500
        await pair.wait(501)
        look = await pair.master.charger.sense()
        assert not look.contactor_closed
        assert look.permit_left_ms == 0

    async def test_power_above_the_permit_and_the_wrong_way_are_refused(self, pair: PairedDevices) -> None:
        await pair.master.charger.command([Permit(1_000, pair.master_direction, MAX_PERMIT_MS)])
        with pytest.raises(DeviceRefused) as refusal:
            await pair.master.charger.command([SetPower(1_001)])
        assert refusal.value.code == "above_permit"
        wrong = Direction.IN if pair.master_direction is Direction.OUT else Direction.OUT
        with pytest.raises(DeviceRefused) as refusal:
            await pair.master.charger.command([Permit(1_000, wrong, 500)])
        assert refusal.value.code == "wrong_direction"

    async def test_commands_before_a_refused_one_stand_and_those_behind_do_not(self, pair: PairedDevices) -> None:
        with pytest.raises(DeviceRefused):
            await pair.master.charger.command([Lock(), Close(), Unlock()])
        look = await pair.master.charger.sense()
        assert look.locked
        assert not look.contactor_closed

    async def test_too_many_commands_do_nothing(self, pair: PairedDevices) -> None:
        with pytest.raises(DeviceRefused) as refusal:
            await pair.master.charger.command([Lock()] * (MAX_COMMANDS + 1))
        assert refusal.value.code == "too_many_commands"
        assert not (await pair.master.charger.sense()).locked

    async def test_registers_stand_still_without_power(self, pair: PairedDevices) -> None:
        before = await pair.master.meter.read()
        await pair.wait(5_000)
        after = await pair.master.meter.read()
        assert (after.import_wh, after.export_wh, after.power_w) == (before.import_wh, before.export_wh, 0)
        assert after.at_ms > before.at_ms

    async def test_a_battery_adds_up(self, pair: PairedDevices) -> None:
        assert pair.follower.battery is not None
        state = await pair.follower.battery.state()
        assert 0 <= state.soc_permille <= 1000
        assert 0 <= state.usable_energy_wh <= state.capacity_wh - state.room_wh
