"""A story that is no evidence says so, and names its seed; one that is can be told again."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.powercut.run import Plan, outcomes
from tests.powercut.story import LIVES, How

BENT = """
import os
from tests.powercut import story

def past_the_shim(life, shim, mouth):
    file = os.open(life.directory / "client" / "a", os.O_WRONLY | os.O_CREAT)
    os.writev(file, [b"unseen"])

def broken(life, shim, mouth):
    raise ZeroDivisionError

def endless(life, shim, mouth):
    while True:
        pass

story.LIFE_S = 0.1
story.trade = ACTS
story.play(7, story.How.CUT, "")
"""


@pytest.mark.parametrize(
    ("acts", "says"),
    [
        ("past_the_shim", "is something else than what the shim has seen being written"),
        ("broken", "life 7 0 ended with 1"),
        ("endless", f"life 7 0 ended with -{int(signal.SIGPROF)}"),
    ],
)
def test_what_shows_nothing_is_no_outcome(shimmed: dict[str, str], acts: str, says: str) -> None:
    command = [sys.executable, "-c", BENT.replace("ACTS", acts)]
    done = subprocess.run(command, env=shimmed, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Failed: seed 7: " in done.stderr
    assert says in done.stderr


def test_a_seed_tells_the_same_again(shimmed: dict[str, str]) -> None:
    plan = Plan(How.CUT, LIVES, "synchronous=NORMAL", 3)
    assert outcomes(plan, shimmed) == outcomes(plan, shimmed)
