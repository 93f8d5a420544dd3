"""The story is told from both parties' ledgers, and it fails where the car gives what its owner keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_books import REQUEST_ID
from tests.v2xnode.cli.conftest import AMOUNT_MICRO
from v2xnode.cli.demo.story import V2H, V2L, V2V, Story
from v2xnode.cli.demo.world import CAR_A, demo_world
from v2xnode.control import RemoteRefusal
from v2xnode.errors import LocalError

PASSING_WH = 30


class Stage:
    """Nodes that answer from two kept ledgers, and refuse what is above a reserve."""

    def __init__(self, directory: Path, reserve: bool = True) -> None:
        self._directory = directory
        self._reserve = reserve
        self._carried = 0
        self.plant = self
        self.plugged: list[tuple[object, ...]] = []
        self.asked: list[tuple[str, int, int]] = []

    def data(self, place: str) -> Path:
        return self._directory / ("provider" if place == CAR_A else "client")

    async def ask(self, message: Mapping[str, object]) -> None:
        self.plugged.append((message["cable"], message["provider"], message["client"]))

    async def command(self, place: str, method: str, **params: Any) -> Any:
        if method == "status":
            self._carried += 50
            return {"bearers": {"coap": {"bytes_sent": self._carried, "bytes_received": 0}}}
        if method == "events":
            return [{"code": "reserve", "sentence": "Your reserve."}]
        self.asked.append((params["service"], params["energy_wh"], params["energy_min_wh"]))
        if self._reserve and params["service"] == V2H.service and params["energy_min_wh"] > PASSING_WH:
            passing = {"quantity": "energy_wh", "value": PASSING_WH}
            raise RemoteRefusal({"code": "refused", "sentence": "Less.", "exit_code": 4, "would_pass": passing})
        set_up = {"setup_ms": 9, "setup_round_trips": 3, "setup_bytes": 900}
        return {"bearer": "coap", "request_id": REQUEST_ID.hex(), **set_up}


async def test_three_trades_and_one_refusal_are_told(settled: Path) -> None:
    said: list[str] = []
    stage = Stage(settled)
    told = await Story(stage, said.append).play()
    assert sorted(trade["service"] for trade in told.trades) == ["V2H", "V2L", "V2V"]
    for trade in told.trades:
        assert trade["amount_micro"] == {"provider": AMOUNT_MICRO, "client": AMOUNT_MICRO}
        assert trade["delivered_wh"]["agreed"] == trade["delivered_wh"]["agreed_by_provider"]
        assert (trade["state"], trade["bearer"]) == ("settled", "coap")
        assert trade["bytes"] > 0
    [refusal] = told.refusals
    assert (refusal["would_pass"], refusal["quantity"]) == (PASSING_WH, "energy_wh")
    assert (refusal["code"], refusal["told_to_peer"]["code"]) == ("reserve", "refused")
    assert any("0.000250 EUR" in line for line in said)


async def test_the_house_asks_again_for_exactly_what_would_pass(settled: Path) -> None:
    stage = Stage(settled)
    await Story(stage, print).play()
    asked = [(energy_wh, least_wh) for service, energy_wh, least_wh in stage.asked if service == V2H.service]
    assert asked == [(V2H.energy_wh, V2H.energy_wh), (PASSING_WH, PASSING_WH)]


async def test_the_car_is_unplugged_from_the_car_before_the_house(settled: Path) -> None:
    stage = Stage(settled)
    await Story(stage, print).play()
    loose = (V2V.cable, None, None)
    assert stage.plugged == [(V2V.cable, *V2V.terminals), loose, *((a.cable, *a.terminals) for a in (V2H, V2L))]
    assert {cable for cable, *_ in stage.plugged} == set(demo_world().cables)


async def test_a_reserve_that_is_not_kept_fails_the_demonstration(settled: Path) -> None:
    with pytest.raises(LocalError) as failed:
        await Story(Stage(settled, reserve=False), print).play()
    assert failed.value.code == "demo_failed"


async def test_a_trade_without_a_record_fails_the_demonstration(settled: Path) -> None:
    class Forgetful(Stage):
        async def command(self, place: str, method: str, **params: Any) -> Any:
            answer = await super().command(place, method, **params)
            return answer | {"request_id": bytes(16).hex()} if method == "request" else answer

    with pytest.raises(LocalError, match="no record"):
        await Story(Forgetful(settled), print).play()
