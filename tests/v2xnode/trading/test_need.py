"""A client's need against providers that are slow, rude or gone."""

import asyncio

import pytest

from market.errors import TermsInvalid
from tests.support.node_pair import LOOK_MS, stranger, town, until, wish
from transports.secure import Visibility
from v2xnode.errors import NodeError, Unreachable
from v2xnode.trading.need import Wish

CAR_A, CAR_B = "car_a", "car_b"


async def test_a_wish_that_can_not_be_said_asks_nobody() -> None:
    async with town(CAR_A, CAR_B) as world:
        backwards = Wish(wish(60).service, 60, 1, 1_000, 600_000, 600_000, power_min_w=2_000)
        with pytest.raises(TermsInvalid):
            await world.nodes[CAR_B].request(backwards, look_ms=LOOK_MS)
        assert world.events(CAR_A, "offered") == []


async def test_only_the_provider_that_was_named_is_agreed_with() -> None:
    async with town(CAR_A, CAR_B) as world:
        with pytest.raises(Unreachable):
            await world.nodes[CAR_B].request(wish(60), peer="00ff", look_ms=LOOK_MS)
        assert [event.data["code"] for event in world.events(CAR_B, "ask_failed")] == ["other_peer"]
        assert world.trades(CAR_B) == []


async def test_a_provider_that_answers_with_nonsense_is_passed_over() -> None:
    async with town(CAR_B) as world, stranger(world, visibility=Visibility.OPEN):
        with pytest.raises(Unreachable):
            await world.nodes[CAR_B].request(wish(60), address="memory:stranger")
        assert [event.data["code"] for event in world.events(CAR_B, "ask_failed")] == ["malformed"]
        assert world.trades(CAR_B) == []
        world.check()


async def test_stopping_while_providers_are_asked_gives_the_need_up() -> None:
    async with town(CAR_A, CAR_B) as world:
        world.network.partition(CAR_A, CAR_B)
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(60), look_ms=LOOK_MS))
        await asyncio.sleep(0)
        await world.nodes[CAR_B].stop()
        with pytest.raises(NodeError):
            await buying
        assert world.trades(CAR_B) == []


async def test_stopping_as_it_is_agreed_voids_it() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(60), look_ms=LOOK_MS))
        await world.heard(CAR_A, "agreed")
        await world.nodes[CAR_B].stop()
        with pytest.raises(NodeError):
            await buying
        await until("the provider knows", lambda: not world.nodes[CAR_A]._desk._running)
        assert {trade.state for place in (CAR_A, CAR_B) for trade in world.trades(place)} == {"void"}
        world.check()
