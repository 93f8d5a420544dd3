"""The way to the plant survives what cut one request short."""

import asyncio
from pathlib import Path

import pytest

from market.terms import Profile
from tests.support.power_harness import make_world
from v2xnode.devices.errors import DeviceUnreachable
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant_client import connect_plant
from v2xnode.devices.plant_server import serve_plant

READ = {"op": "read", "meter": "p1"}
STATE = {"op": "state", "battery": "p1"}


async def test_after_a_cancelled_request_the_next_gets_its_own_answer(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    async with serve_plant(Plant(make_world(Profile.DC_CONVERTER)), path, lambda: 0), connect_plant(str(path)) as plant:
        cut = asyncio.create_task(plant.ask(STATE))
        await asyncio.sleep(0)
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        assert "export_wh" in await plant.ask(READ)


async def test_a_plant_that_comes_back_is_reached_again(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    world = make_world(Profile.DC_CONVERTER)
    async with serve_plant(Plant(world), path, lambda: 0):
        connection = connect_plant(str(path))
        plant = await connection.__aenter__()
        assert "export_wh" in await plant.ask(READ)
    with pytest.raises(DeviceUnreachable):
        await plant.ask(READ)
    async with serve_plant(Plant(world), path, lambda: 0):
        assert "export_wh" in await plant.ask(READ)
        await connection.__aexit__(None, None, None)
    with pytest.raises(DeviceUnreachable):
        await plant.ask(READ)


async def test_without_a_plant_there_is_no_connection(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnreachable, match="No plant serves"):
        async with connect_plant(str(tmp_path / "none.sock")):
            pass
