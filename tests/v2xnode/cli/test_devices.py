"""The drivers that are there are listed, and a plant that can't be opened is told."""

from pathlib import Path

from tests.v2xnode.cli.calling import called, printed


def test_the_simulated_driver_is_listed() -> None:
    result = called("devices", "list", "--json")
    drivers = printed(result)["drivers"]
    assert result.exit_code == 0
    assert "simulated" in drivers
    assert called("devices", "list").stdout.split() == drivers


def test_a_plant_that_can_not_be_reached_is_an_error(tmp_path: Path) -> None:
    result = called("devices", "plant", "--socket", tmp_path / "missing" / "plant.sock")
    assert result.exit_code == 2
    assert result.stderr.startswith("plant_server: ")
    assert list(tmp_path.iterdir()) == []
