import json
from typing import get_args

import pytest

from market.terms import Profile
from tests.support.power_harness import make_world
from v2xnode.devices.errors import DeviceDataInvalid
from v2xnode.devices.interface import Direction, Emit, Open, PathCommand, Permit, PilotReady, Port, Precharge
from v2xnode.devices.plant.commands import DOINGS
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.requests import NAMES, answer, command_from_plain, command_to_plain


def test_every_command_has_a_name_and_a_doing() -> None:
    assert set(NAMES) == set(DOINGS) == set(get_args(PathCommand))


@pytest.mark.parametrize(
    "command", [Permit(5, Direction.IN, 9), Precharge(7, Port.BUS), Emit(65_535), PilotReady(False), Open()]
)
def test_a_command_survives_the_journey(command: PathCommand) -> None:
    assert command_from_plain(json.loads(json.dumps(command_to_plain(command)))) == command


@pytest.mark.parametrize(
    "request_",
    [
        None,
        {},
        {"op": "sense"},
        {"op": "sense", "terminal": "p1", "more": 1},
        {"op": "command", "terminal": "p1"},
        {"op": "command", "terminal": "p1", "commands": [{"do": "dance"}]},
        {"op": "command", "terminal": "p1", "commands": [{"do": "emit", "pattern": 65_536}]},
        {"op": "command", "terminal": "p1", "commands": [{"do": "permit", "max_power_w": 1.5}]},
        {"op": "command", "terminal": "p1", "commands": [{"do": "lock"}, {"do": "dance"}]},
        {"op": "inject", "terminal": "p1", "fault": "gremlins"},
    ],
)
def test_a_bad_request_changes_nothing(request_: object) -> None:
    plant = Plant(make_world(Profile.DC_BPT))
    with pytest.raises(DeviceDataInvalid):
        answer(plant, request_)
    assert list(plant.log.entries) == []


def test_fate_can_be_played_by_request() -> None:
    plant = Plant(make_world(Profile.DC_BPT, pairs=2))
    for request in (
        {"op": "cross", "one": "w1", "other": "w2"},
        {"op": "miscount", "battery": "p1", "energy_wh": 100},
        {"op": "inject", "terminal": "p1", "fault": "pulled"},
    ):
        assert answer(plant, request) is None
    assert answer(plant, {"op": "sense", "terminal": "c2"})["plugged"] is False
    assert answer(plant, {"op": "report"})["w1"]["taken_uj"] == 0
    assert answer(plant, {"op": "state", "battery": "p1"})["usable_energy_wh"] == 37_100
    assert answer(plant, {"op": "read", "meter": "p1"})["class_ppm"] == 10_000
