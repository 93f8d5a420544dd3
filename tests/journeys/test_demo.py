"""`v2xnode demo`: the main job, as a person runs it, and what a program is told of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import environment, ran

pytestmark = pytest.mark.processes

TAX_PERMYRIAD = {"V2V": 0, "V2H": 0, "V2L": 1_900}
SESSION_FEE_MICRO = {"V2V": 20_000, "V2H": 20_000, "V2L": 0}
"""What the demonstration's owners ask besides the energy (v2xnode/cli/demo/world.py)."""

Json = dict[str, Any]


def demo(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """The demonstration, run by somebody whose home is `home`."""
    env = environment(HOME=str(home))
    return ran(["v2xnode", "demo", *arguments], env={k: v for k, v in env.items() if not k.startswith("XDG_")})


def told(done: subprocess.CompletedProcess[str], code: int = 0) -> Json:
    """The one JSON object on stdout; nothing else is there."""
    assert done.returncode == code, f"exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    result: Json = json.loads(done.stdout)
    return result


def check_trade(trade: Json, bearer: str) -> None:
    """One settled trade: unlike meters, like books, and the money that the arithmetic gives."""
    delivered, amount = trade["delivered_wh"], trade["amount_micro"]
    assert (trade["state"], trade["bearer"]) == ("settled", bearer)
    assert delivered["provider"] != delivered["client"]
    assert delivered["agreed"] == delivered["agreed_by_provider"] > 0
    energy_micro = (delivered["agreed"] * trade["price_micro_per_kwh"] + 500) // 1_000
    net_micro = energy_micro + SESSION_FEE_MICRO[trade["service"]]
    due_micro = net_micro + (net_micro * TAX_PERMYRIAD[trade["service"]] + 5_000) // 10_000
    assert amount == {"provider": due_micro, "client": due_micro}
    assert trade["intervals"] == trade["receipts"] >= 2  # the opening one, and energy
    assert trade["bytes"] > trade["setup_bytes"] > 0
    assert min(trade["setup_round_trips"], trade["setup_ms"]) > 0


def check_story(result: Json, bearer: str) -> None:
    """What the demonstration promises, whatever the bearer."""
    assert result["schema"] == "v2xnode-demo/1"
    assert result["wall_s"] > 0
    assert sorted(trade["service"] for trade in result["trades"]) == ["V2H", "V2L", "V2V"]
    for trade in result["trades"]:
        check_trade(trade, bearer)
    (refusal,) = result["refusals"]
    assert refusal["code"] == "reserve"
    assert refusal["sentence"]
    v2h = next(trade for trade in result["trades"] if trade["service"] == "V2H")
    assert (v2h["provider"], v2h["client"]) == (refusal["provider"], refusal["client"])
    agreed_wh, passing_wh = v2h["delivered_wh"]["agreed"], refusal["would_pass"]
    assert v2h["reason"] == "energy_reached"  # the same request with the value that it says would pass, passes
    assert 0 < agreed_wh <= passing_wh
    check_ledgers(result["ledgers"])


def check_ledgers(ledgers: Sequence[Json]) -> None:
    """Four nodes, each with its own chain, all verified."""
    assert [ledger["node"] for ledger in ledgers] == ["car_a", "car_b", "house", "cabin"]
    assert len({ledger["head"]["hash"] for ledger in ledgers}) == len({ledger["data"] for ledger in ledgers}) == 4
    for ledger in ledgers:
        assert ledger["verified"] is True
        assert ledger["entries"] > ledger["head"]["seq"] > 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of somebody who has never run a node."""
    made = tmp_path / "home"
    made.mkdir()
    return made


def test_three_trades_and_a_refusal_over_coap_between_processes(home: Path, directory: Path) -> None:
    done = demo("--json", "--keep", directory, home=home)
    print(*(f"--- {log.parent.name}\n{log.read_text()}" for log in sorted(directory.glob("*/node.log"))), sep="\n")
    result = told(done)
    check_story(result, "coap")
    assert not list(home.iterdir())
    for ledger in result["ledgers"]:
        assert Path(ledger["data"]) == directory / ledger["node"]
        kept = ran(["v2xnode", "ledger", "verify", "--json", "--data", ledger["data"]])
        assert told(kept)["head"] == ledger["head"]
    for taken in (directory, directory / "plant.jsonl"):
        again = demo("--json", "--keep", taken, home=home)
        assert told(again, code=2)["error"]["code"] == "directory_not_empty"


def test_the_same_story_in_one_process_and_a_tampered_row_is_named(home: Path) -> None:
    result = told(demo("--json", "--transport", "memory", "--tamper", home=home), code=5)
    check_story(result, "memory")
    found = result["tampered"]
    assert (found["node"], found["verified"]) == ("car_a", False)
    fault = found["fault"]
    assert (fault["table"], fault["row"], fault["column"]) == ("posting", 1, "amount_micro")
    assert not list(home.iterdir())


@pytest.mark.parametrize("bearer", ["ble", "libp2p"])
def test_the_same_story_over_another_bearer_between_processes(bearer: str, home: Path, directory: Path) -> None:
    result = told(demo("--json", "--transport", bearer, "--keep", directory, home=home))
    check_story(result, bearer)
    assert not list(home.iterdir())


def test_without_its_air_the_story_over_ble_fails(home: Path, directory: Path) -> None:
    env = environment(HOME=str(home))
    words = [sys.executable, "-m", "v2xnode", "demo", "--transport", "ble", "--json", "--keep", str(directory)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as running:
        assert running.stderr is not None
        while "asks" not in (line := running.stderr.readline()):
            assert line, "it ended before it began"
        os.kill(pid_of("transports.ble.virtual.air", directory), signal.SIGKILL)
        printed, _ = running.communicate(timeout=100)
    assert running.returncode not in (0, None)
    assert json.loads(printed)["error"]["code"]


def pid_of(module: str, directory: Path) -> int:
    """The process of a module whose command line names something in a directory."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = each.read_bytes().decode(errors="replace")
            if module in words and str(directory) in words:
                return int(each.parent.name)
    raise AssertionError(f"no {module} runs in {directory}")


def test_a_speed_at_which_a_permit_would_be_too_short_lived_is_refused(home: Path) -> None:
    done = demo("--json", "--speed", "13", home=home)
    error = told(done, code=2)["error"]
    assert "permit" in error["sentence"]
    assert not list(home.iterdir())
