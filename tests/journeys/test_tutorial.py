"""The README's tutorial, run as it is written: two nodes by hand, from two directories."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.commands import PROJECT, environment, free_port, succeeded

pytestmark = pytest.mark.processes

TUTORIAL_S = 90.0
"""Real time for all of it on a busy machine: a delivery of some seconds at real speed, and a dozen commands."""
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS = ("devices plant", "init", "run", "discover", "request", "trades", "ledger verify", "stop")


def tutorial() -> str:
    """The README's one block of commands that makes nodes by hand."""
    blocks: list[str] = BLOCK.findall((PROJECT / "README.md").read_text())
    found = [text for text in blocks if "v2xnode init" in text]
    assert len(found) == 1, "README.md has one block of commands with `v2xnode init`"
    return found[0]


def played(commands: str, directory: Path) -> str:
    """What the tutorial shows in an empty directory; everything that it started is ended."""
    (directory / ".venv").symlink_to(sys.prefix)
    env = environment(V2XNODE_COAP__DISCOVERY_PORT=str(free_port()))
    shown, bash = directory / "shown", ["/bin/bash", "-euo", "pipefail", "-c", commands]
    with shown.open("w") as out:
        script = subprocess.Popen(
            bash, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = script.wait(TUTORIAL_S)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            with suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL)
            script.wait()
    assert code == 0, shown.read_text()
    return shown.read_text()


def test_two_nodes_by_hand(directory: Path) -> None:
    commands = tutorial()
    assert [step for step in STEPS if f"v2xnode {step}" not in commands] == []
    shown = played(commands, directory)

    nodes = sorted({directory / name for name in re.findall(r"v2xnode init .*--data[ =](\S+)", commands)})
    assert len(nodes) == 2
    assert re.search(r"coap +127\.0\.0\.1:\d+ .* offers V2V", shown)
    trades = [
        json.loads(succeeded(["v2xnode", "ledger", "show", "--json", "--data", data]))["trades"] for data in nodes
    ]
    (one,), (other,) = trades
    assert {one["role"], other["role"]} == {"provider", "client"}
    for name in ("request_id", "state", "amount_micro", "amounts_micro", "service"):
        assert one[name] == other[name]
    assert one["state"] == "settled"
    assert one["delivered_wh"]["agreed"] == other["delivered_wh"]["agreed"] > 0
    for data in nodes:
        succeeded(["v2xnode", "ledger", "verify", "--data", data])
