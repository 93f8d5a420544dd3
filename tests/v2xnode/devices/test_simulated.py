"""The simulated devices pass the contract in one process and over the socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from market.terms import Profile
from tests.contract.device_contract import DeviceContract, PairedDevices
from tests.support.power_harness import make_world
from v2xnode.devices.errors import DeviceUnknown
from v2xnode.devices.interface import DeviceSet, Direction
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant_client import connect_plant
from v2xnode.devices.plant_server import serve_plant
from v2xnode.devices.simulated import LocalPlant, PlantAccess, open_simulated, simulated_devices


class HandClock:
    """World time that only the test moves."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now

    async def wait(self, elapsed_ms: int) -> None:
        self.now += elapsed_ms


def paired(access: PlantAccess, clock: HandClock) -> PairedDevices:
    def side(name: str) -> DeviceSet:
        return simulated_devices(access, charger=name, meter=name, battery=name)

    return PairedDevices(side("p1"), Direction.OUT, side("c1"), clock.wait)


class TestLocalPlant(DeviceContract):
    @pytest.fixture
    def pair(self) -> PairedDevices:
        clock = HandClock()
        plant = Plant(make_world(Profile.DC_CONVERTER))
        return paired(LocalPlant(plant, clock.now_ms), clock)


class TestPlantSocket(DeviceContract):
    @pytest.fixture
    async def pair(self, tmp_path: Path) -> AsyncIterator[PairedDevices]:
        clock = HandClock()
        path = tmp_path / "plant.sock"
        plant = Plant(make_world(Profile.DC_CONVERTER))
        async with serve_plant(plant, path, clock.now_ms), connect_plant(str(path)) as access:
            yield paired(access, clock)


async def test_the_driver_opens_the_devices_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    async with serve_plant(Plant(make_world(Profile.DC_BPT)), path, lambda: 0):
        options = {"socket": str(path), "charger": "c1", "meter": "c1"}
        async with open_simulated(options) as devices:
            assert devices.battery is None
            assert (await devices.charger.sense()).plugged
        async with open_simulated(options | {"charger": "nobody"}) as devices:
            with pytest.raises(DeviceUnknown, match="nobody"):
                await devices.charger.sense()


@pytest.mark.parametrize("options", [{}, {"socket": "x"}, {"socket": "x", "charger": "a", "meter": "a", "speed": "1"}])
async def test_strange_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(DeviceUnknown):
        async with open_simulated(options):
            pass
