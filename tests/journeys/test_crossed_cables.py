"""Two pairs in one car park, and somebody swaps the cables: nobody energises the wrong car, and all four say why."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Scene, cast, scene, until, world
from v2xnode.control import RemoteRefusal

pytestmark = pytest.mark.processes

SPEED = 4
PAIRS = ("-left", "-right")
V2V = ("V2V", "car_a", "car_b", "box")
V2L = ("V2L", "car_b", "cabin", "extension")
V2H = ("V2H", "car_a", "house", "wallbox")


async def refused(stage: Scene, service: str, provider: str, client: str) -> str:
    """The client's request fails; the code with which it does."""
    with pytest.raises(RemoteRefusal) as refusal:
        await stage.command(
            client,
            "request",
            service=service,
            energy_wh=50,
            energy_min_wh=1,
            power_max_w=3_600,
            price_max_micro_per_kwh=600_000,
            window_ms=600_000,
            address=stage.address(provider),
        )
    return str(refusal.value.details["code"])


async def void_reason(stage: Scene, place: str) -> str | None:
    """Why a node's one trade became void, by its own ledger."""
    (held,) = await stage.command(place, "trades")
    return held["reason"] if held["state"] == "void" else None


@pytest.mark.parametrize("act", [V2V, V2H, V2L], ids=lambda act: act[0])
async def test_crossed_cables_close_no_vehicle_or_load_contactor(directory: Path, act: tuple[str, ...]) -> None:
    service, provider, client, cable = act
    parts = [cast(place, pair) for pair in PAIRS for place in (provider, client)]
    async with scene(directory, parts, place=world(*PAIRS), speed=SPEED) as stage:
        for pair in PAIRS:
            suffix = f".{service.lower()}{pair}"
            await stage.plug(cable + pair, provider + suffix, client + suffix)
        await stage.ask_plant("cross", **dict(zip(("one", "other"), (cable + pair for pair in PAIRS), strict=True)))

        asked = (refused(stage, service, provider + pair, client + pair) for pair in PAIRS)
        assert await asyncio.gather(*asked) == ["wrong_plug", "wrong_plug"]
        for part in parts:
            assert await void_reason(stage, part.place) == "wrong_plug"
        await until("every connector is free again", lambda: unlocked(stage) or None)

        assert not [each for each in stage.log("contactor") if each["closed"]]
        assert not [each for each in stage.log("power") if each["power_w"]]
        assert not stage.log("violation")


def unlocked(stage: Scene) -> bool:
    last: dict[str, Any] = {each["terminal"]: each["locked"] for each in stage.log("lock")}
    return len(last) == 2 * len(PAIRS) and not any(last.values())
