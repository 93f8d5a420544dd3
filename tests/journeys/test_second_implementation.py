"""A client that was written from docs/ alone buys energy from a node, and reads each vector as we do."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment
from tests.support.processes import Scene, cast, scene, until, world

pytestmark = pytest.mark.timeout(90)

SPEED = 12
ENERGY_WH = 60
BUY_S = 60.0


async def bought(stage: Scene, *options: str) -> tuple[int, str, str]:
    """The stranger's program, run to its end: exit code, what it printed, what went wrong."""
    address = stage.address("car_b").replace("coap:", "coap://") + "/t"
    words = [sys.executable, "-m", "examples.second_implementation", address, *options]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe, env=environment())
    try:
        async with asyncio.timeout(BUY_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


def said(printed: str, pattern: str) -> str:
    found = re.search(pattern, printed)
    assert found is not None, f"{pattern!r} is not in {printed!r}"
    return found[1]


@pytest.mark.processes
async def test_a_strangers_client_buys_and_both_books_say_the_same(directory: Path) -> None:
    async with scene(directory, [cast("car_b")], place=world(""), speed=SPEED) as stage:
        await stage.plug("extension", "car_b.v2l", "cabin.v2l")
        plant = ("--plant", str(directory / "plant.sock"), "--plug", "cabin.v2l", "--speed", str(SPEED))
        code, printed, wrong = await bought(stage, "--energy-wh", str(ENERGY_WH), *plant)
        assert code == 0, f"{printed}\n{wrong}"
        request_id = said(printed, r"Confirmed as ([0-9a-f]{32})")

        def settled() -> bool | None:
            trade = stage.trade("car_b", request_id)
            return (trade is not None and trade.state == "settled") or None

        await until("the provider's books settle", settled)
        trade = stage.trade("car_b", request_id)
        assert trade is not None
        assert trade.last_receipt is not None
        assert trade.last_receipt.agreed_wh == int(said(printed, r"agreed: (\d+) Wh"))
        assert sum(trade.last_receipt.amounts_micro) == int(said(printed, r"amount: (\d+) micro EUR"))
        assert ENERGY_WH - 2 <= trade.last_receipt.agreed_wh <= ENERGY_WH
        assert "verified" in printed
        assert stage.verified("car_b").fault is None
        assert not stage.log("violation")
