"""The demonstration's world and its four nodes fit together before any of them is started."""

import json
from pathlib import Path

import pytest

from market.terms import Profile
from market.terms.electrical import match_electrical
from market.units import Role, Service
from tests.v2xnode.cli.calling import called, printed
from v2xnode.cli.demo.story import V2H, V2L, V2V, Act
from v2xnode.cli.demo.world import CAST, RESERVE_WH, SPARE_WH, Cast, configuration, demo_world
from v2xnode.clock import Clock
from v2xnode.config import Config, parse_config
from v2xnode.devices.plain import from_plain, to_plain
from v2xnode.devices.plant.world import WorldSpec
from v2xnode.toml import to_toml

SOCKET = Path("/run/plant.sock")
ACTS = (V2V, V2H, V2L)


def config_of(cast: Cast) -> Config:
    return parse_config(to_toml(configuration(cast, SOCKET)))


def config_at(place: str) -> Config:
    return config_of(next(cast for cast in CAST if cast.place == place))


@pytest.mark.parametrize("plugged", [False, True])
def test_the_world_comes_back_from_json(plugged: bool) -> None:
    world = demo_world(plugged=plugged)
    assert from_plain(WorldSpec, json.loads(json.dumps(to_plain(world)))) == world


def test_plugging_joins_the_cars_and_the_cabin_and_nothing_else() -> None:
    loose, plugged = demo_world().cables, demo_world(plugged=True).cables
    assert {name for name in plugged if plugged[name] != loose[name]} == {V2V.cable, V2L.cable}
    assert [(plugged[act.cable].provider, plugged[act.cable].client) for act in (V2V, V2L)] == [
        V2V.terminals,
        V2L.terminals,
    ]


@pytest.mark.parametrize("cast", CAST, ids=lambda cast: cast.place)
def test_each_nodes_devices_are_in_the_world(cast: Cast) -> None:
    world = demo_world()
    config = config_of(cast)
    assert config.node.name == cast.name
    for path in config.devices.paths:
        terminal = world.terminals[path.options["charger"]]
        assert (terminal.profile, terminal.role) == (Profile[path.profile], Role[path.role.upper()])
        assert world.meters[path.options["meter"]].terminal == path.options["charger"]
        assert terminal.battery == path.options.get("battery")
        assert path.options["socket"] == str(SOCKET)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.service)
def test_the_two_sides_of_each_trade_match_electrically(act: Act) -> None:
    provider, client = config_at(act.provider), config_at(act.client)
    service = Service[act.service]
    assert service in provider.services
    profile = match_electrical(provider.electrical.record(), client.electrical.record(), service, 1)
    terminals = [demo_world().terminals[name] for name in act.terminals]
    assert [profile, profile] == [terminal.profile for terminal in terminals]
    assert [terminal.role for terminal in terminals] == [Role.PROVIDER, Role.CLIENT]


def test_the_house_asks_for_more_than_the_cars_reserve_leaves() -> None:
    world, owner = demo_world(), config_at(V2H.provider).owner
    battery = world.batteries[V2H.provider]
    assert battery.energy_wh == RESERVE_WH + SPARE_WH
    assert battery.capacity_wh * owner.reserve_permille // 1000 == RESERVE_WH
    assert V2V.energy_wh < SPARE_WH < V2H.energy_wh


def test_the_worlds_clock_is_every_nodes_own() -> None:
    clock = Clock(8, 1_768_415_520_000, 5)
    for cast in CAST:
        told = parse_config(to_toml(configuration(cast, SOCKET, clock, {"coap": {"discovery_port": 6000}})))
        assert (told.clock.speed, told.clock.world_origin_ms, told.clock.real_origin_ms) == (8, 1_768_415_520_000, 5)
        assert told.coap.discovery_port == 6000
    assert config_of(CAST[0]).clock.speed == 1


def test_a_speed_at_which_a_permit_is_too_short_lived_is_refused(tmp_path: Path) -> None:
    result = called("demo", "--speed", "13", "--keep", tmp_path / "kept", "--json")
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "config")
    assert "1 to 12" in result.stderr
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("keep", ["", "a"])
def test_what_is_kept_does_not_go_where_something_is(keep: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    result = called("demo", "--keep", tmp_path / keep, "--json")
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "directory_not_empty")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_directory_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    result = called("demo", "--keep", tmp_path / "a" / "kept", "--json")
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "no_directory")


def test_a_bearer_whose_extra_is_missing_is_told_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = called("demo", "--transport", "ble", "--json")
    assert (result.exit_code, printed(result)["error"]["code"]) == (1, "bearer_unavailable")
    assert "v2xnode[virtual-ble]" in result.stderr
