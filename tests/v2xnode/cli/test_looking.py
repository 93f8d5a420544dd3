"""`v2xnode discover`: asks the node that runs, or looks by itself; once, or for as long as one watches."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.v2xnode.cli.calling import called, printed
from v2xnode.cli.looking import GONE_S, Around
from v2xnode.config import CONFIG_FILE
from v2xnode.control import Tell, serving_control

OFF = {"code": "radio", "sentence": "the radio is off: switch it on"}


def sighting(address: str = "C0:00:00:00:00:01", **more: Any) -> dict[str, Any]:
    """What a node says of one peer that it hears."""
    heard = {"bearer": "ble", "address": address, "identifier": "0102030405", "peer": None, "provides": ["V2V", "V2L"]}
    return {**heard, "coordinator": False, "age_ms": 1_200, "signal_dbm": -61, **more}


def look(*sightings: dict[str, Any], **problems: Any) -> dict[str, Any]:
    bearers = {name: {"bytes_sent": 1, "bytes_received": 2, "problem": problem} for name, problem in problems.items()}
    return {"bearers": bearers, "sightings": list(sightings)}


@asynccontextmanager
async def node(data: Path, *looks: dict[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
    """A node that tells these looks one after the other; what it was asked."""
    asked: list[dict[str, Any]] = []
    waiting = list(looks)

    async def dispatch(method: str, params: dict[str, Any], tell: Tell) -> object:
        assert method == "discover"
        asked.append(params)
        return waiting.pop(0)

    async with serving_control(data, dispatch):
        yield asked


async def test_the_running_node_is_asked_and_its_answer_is_the_json(tmp_path: Path) -> None:
    found = look(sighting(), ble=None, libp2p=OFF)
    async with node(tmp_path, found) as asked:
        result = await asyncio.to_thread(called, "discover", "--data", tmp_path, "--json")
    assert asked == [{"window_ms": 2_000}]
    assert (result.exit_code, printed(result)) == (0, found)
    assert "-61 dBm" in result.stderr
    assert "libp2p  is not open: the radio is off" in result.stderr


def test_without_a_node_it_looks_by_itself(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("[coap]\nloopback = true\ndiscovery_port = 15683\n")
    result = called("discover", "--data", tmp_path, "--seconds", "0.1", "--json")
    found = printed(result)
    assert (result.exit_code, found["sightings"]) == (0, [])
    assert found["bearers"]["coap"]["problem"] is None
    assert result.stderr == "Nobody was heard.\n"


def test_a_bearer_that_can_not_be_opened_is_told_and_another_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no_bus")
    text = "[coap]\nloopback = true\ndiscovery_port = 15683\n[ble]\nenabled = true\n"
    (tmp_path / CONFIG_FILE).write_text(text)
    result = called("discover", "--data", tmp_path, "--seconds", "0.1")
    assert result.exit_code == 0
    assert "ble     is not open: " in result.stdout


@pytest.mark.parametrize("seconds", ["0", "61"])
def test_a_window_out_of_bounds_is_refused(seconds: str, tmp_path: Path) -> None:
    assert called("discover", "--data", tmp_path, "--seconds", seconds).exit_code == 2


@pytest.mark.processes
async def test_followed_it_prints_a_json_object_for_each_look_until_the_node_is_gone(tmp_path: Path) -> None:
    looks = [look(ble=None), look(sighting(), ble=None)]
    words = ["-m", "v2xnode", "discover", "--data", str(tmp_path), "--follow", "--json", "--seconds", "0.1"]
    pipe = asyncio.subprocess.PIPE

    async def dispatch(method: str, params: dict[str, Any], tell: Tell) -> object:
        return looks.pop(0)

    async with serving_control(tmp_path, dispatch):
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=pipe, stderr=pipe)
        assert process.stdout is not None
        told = [json.loads(await process.stdout.readline()) for _ in range(2)]
    assert [len(each["sightings"]) for each in told] == [0, 1]
    await process.communicate()
    assert process.returncode not in (0, None)


def test_what_is_shown_has_age_and_signal_and_forgets_who_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 50_000
    monkeypatch.setattr("v2xnode.cli.looking._now_ms", lambda: now_ms)
    around = Around()
    first, known = sighting(), sighting("C0:00:00:00:00:02", peer="ab" * 32, provides=[], signal_dbm=None, age_ms=0)
    assert len(list(around.heard(look(first, known, ble=None)))) == 2
    now_ms += 5_000
    around.hear(look(sighting(age_ms=0, signal_dbm=-70), ble=None))
    assert list(around.rows()) == [
        ("ble", "C0:00:00:00:00:01", "unknown", "V2V V2L", "-70 dBm", "0.0 s ago"),
        ("ble", "C0:00:00:00:00:02", "ab" * 6, "nothing", "", "5.0 s ago"),
    ]
    now_ms += int(GONE_S * 1000) - 4_000
    around.hear(look(ble=None))
    assert [row[1] for row in around.rows()] == ["C0:00:00:00:00:01"]
