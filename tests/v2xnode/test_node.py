"""Whole nodes trading: what goes right, what is refused, and what the network, the owners and the clock do to it."""

import asyncio
import itertools
from typing import Any

import pytest

from market.terms import Confirm, Interval
from market.units import Service
from tests.support.node_pair import LOOK_MS, Town, agree, node_of, prepare, town, until, wish
from v2xnode.config import CONFIG_FILE
from v2xnode.errors import ConfigError, LocalError, NodeError, RefusedByLimit, Unreachable, UsageError
from v2xnode.node import Doorkeeper
from v2xnode.trading.asking import Wish
from v2xnode.trading.client_channel import ClientChannel

CAR_A, CAR_B, HOUSE = "car_a", "car_b", "house"


async def buy(world: Town, place: str, wanted: Wish) -> dict[str, Any]:
    """A request over whatever is in reach; the trade in the client's words."""
    return await world.nodes[place].request(wanted, look_ms=LOOK_MS)


def settled(world: Town, request_id: str) -> int:
    """Both ledgers agree on the trade, hold, and have nothing left to say; the energy."""
    provider = world.trade(CAR_A, request_id)
    agree(provider, world.trade(CAR_B, request_id))
    world.check()
    return provider.agreed_wh


async def test_a_whole_trade_settles_with_the_same_amounts_on_both_sides() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        done = await buy(world, CAR_B, wish(60))
        assert 50 <= settled(world, done["request_id"]) <= 62
        owed = done["amount_micro"]
        assert world.balances(CAR_A)["receivable"] == (owed, 0)
        assert world.balances(CAR_B)["payable"] == (-owed, 0)
        assert await world.power_w("car_a.v2v") == 0
        assert world.outbox(CAR_A) == world.outbox(CAR_B) == 0
        assert [each["request_id"] for each in await world.nodes[CAR_A].trades()] == [done["request_id"]]
        assert done["setup_round_trips"] >= 2


async def test_asking_again_with_what_would_pass_passes() -> None:
    async with town(CAR_A, CAR_B, owners={CAR_A: {"reserve_permille": 783}}) as world:
        await world.plug()
        with pytest.raises(RefusedByLimit) as refused:
            await buy(world, CAR_B, wish(4_000, least_wh=4_000))
        passing = refused.value.details["would_pass"]
        assert passing["quantity"] == "energy_wh"
        assert world.events(CAR_A, "refused")[-1].data["code"] == "reserve"
        done = await buy(world, CAR_B, wish(passing["value"], least_wh=passing["value"]))
        assert 0 < settled(world, done["request_id"]) <= passing["value"] + 2


async def test_of_two_clients_that_race_for_the_same_energy_one_is_confirmed() -> None:
    async with town(CAR_A, CAR_B, HOUSE) as world:
        await world.plug()
        wanted = {CAR_B: wish(200, least_wh=200), HOUSE: wish(200, Service.V2H, least_wh=200)}
        racing = {place: asyncio.create_task(buy(world, place, each)) for place, each in wanted.items()}
        await until("both have an answer", lambda: len(world.events(CAR_A, "offered")) == 2)
        await until("one is told no", lambda: any(task.done() for task in racing.values()))
        loser = next(place for place, task in racing.items() if task.done())
        refusal = racing.pop(loser).exception()
        assert isinstance(refusal, RefusedByLimit)
        assert refusal.code in ("energy_unavailable", "busy")
        winner = next(iter(racing))
        await world.heard(winner, "agreed")
        assert [sum(bool(trade.of(Confirm)) for trade in world.trades(place)) for place in (winner, loser)] == [1, 0]
        assert world.events(CAR_A, "refused")[-1].data["code"] in ("committed_elsewhere", "connector_busy")
        await world.nodes[winner].stop()
        await asyncio.gather(*racing.values(), return_exceptions=True)
        await until("the provider's path is down again", lambda: not world.nodes[CAR_A]._desk.deliveries.as_json())
        world.check()


@pytest.mark.parametrize(("stopper", "other"), [(CAR_A, CAR_B), (CAR_B, CAR_A)])
async def test_either_owner_stops_and_what_was_delivered_settles(stopper: str, other: str) -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(buy(world, CAR_B, wish(300)))
        await flowing(world)
        assert len(await world.nodes[stopper].stop()) == 1
        assert (await world.heard(stopper, "finished")).data["code"] == "stopped_by_owner"
        assert (await world.heard(other, "finished")).data["code"] == "stopped_by_peer"
        done = await buying
        assert 0 < settled(world, done["request_id"]) < 300


async def flowing(world: Town) -> None:
    """Until the provider's meter has counted some of it."""

    def some() -> bool:
        return any(each["delivered_wh"] >= 5 for each in world.nodes[CAR_A]._desk.deliveries.as_json())

    await until("energy flows", some)


async def test_over_a_network_that_loses_repeats_and_reorders_the_amounts_are_equal() -> None:
    async with town(CAR_A, CAR_B, loss_permille=120, duplicate_permille=100, reorder_permille=100) as world:
        await world.plug()
        done = await buy(world, CAR_B, wish(60))
        settled(world, done["request_id"])


async def test_a_network_that_comes_back_finds_the_session_and_settles_it() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(buy(world, CAR_B, wish(300)))
        await flowing(world)
        world.network.partition(CAR_A, CAR_B)
        await world.heard(CAR_A, "power_cut", "silence")
        await unlocked(world)
        assert await world.power_w("car_a.v2v") == 0
        world.network.heal(CAR_A, CAR_B)
        done = await buying
        provider = world.trade(CAR_A, done["request_id"])
        intervals = provider.of(Interval)
        assert provider.offer is not None
        steps = [late.register_wh - soon.register_wh for soon, late in itertools.pairwise(intervals)]
        assert max(steps) <= provider.offer.exposure_wh
        await world.heard(CAR_A, "finished")
        settled(world, done["request_id"])


async def unlocked(world: Town) -> None:
    """Until the provider's path is at rest."""

    def over() -> bool:
        return any(event.data["milestone"] == "unlocked" for event in world.events(CAR_A, "path"))

    await until("the path is at rest", over)


async def test_a_link_that_is_lost_is_dialled_anew_and_the_session_goes_on_there() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(buy(world, CAR_B, wish(300)))
        await flowing(world)
        [delivering] = world.nodes[CAR_B]._desk.deliveries.running.values()
        assert isinstance(delivering.channel, ClientChannel)
        lost = delivering.channel.link
        await lost.raw.aclose()
        done = await buying
        assert delivering.channel.link is not lost
        settled(world, done["request_id"])


async def test_a_node_that_stops_takes_power_off_and_settles_first() -> None:
    async with town(CAR_B) as world:
        prepare(world, CAR_A)
        async with node_of(world, CAR_A) as provider:
            world.nodes[CAR_A] = provider
            await world.plug()
            buying = asyncio.create_task(buy(world, CAR_B, wish(300)))
            await flowing(world)
        assert await world.power_w("car_a.v2v") == 0
        done = await buying
        assert world.trade(CAR_A, done["request_id"]).state == "settled"
        assert world.events(CAR_A, "finished")[-1].data["code"] == "shutdown"
        world.check()


async def test_a_node_that_stops_while_it_buys_leaves_nothing_under_way() -> None:
    async with town(CAR_A) as world:
        prepare(world, CAR_B)
        async with node_of(world, CAR_B) as client:
            world.nodes[CAR_B] = client
            await world.plug()
            buying = asyncio.create_task(buy(world, CAR_B, wish(60)))
            await world.heard(CAR_A, "offered")
        assert buying.done()
        assert isinstance(buying.exception(), NodeError)
        world.check(CAR_B)
        assert not client._desk.deliveries.as_json()


async def test_locks_of_a_life_that_was_cut_off_hold_nothing_in_the_next() -> None:
    async with town() as world:
        prepare(world, CAR_A)
        async with node_of(world, CAR_A) as node:
            await node._books.run(lambda transaction: transaction.lock(bytes(16), "battery_wh", 300, 0, 2**40))
        assert world.locks(CAR_A) == 1
        async with node_of(world, CAR_A):
            assert world.locks(CAR_A) == 0


async def test_what_ends_a_running_node_passes_as_it_is() -> None:
    async with town() as world:
        prepare(world, CAR_A)
        with pytest.raises(Unreachable):
            async with node_of(world, CAR_A):
                raise Unreachable("said by the caller")


async def test_a_configuration_that_is_none_opens_no_node() -> None:
    async with town() as world:
        prepare(world, CAR_A)
        (world.data(CAR_A) / CONFIG_FILE).write_text("[node]\nnames = 3\n")
        with pytest.raises(ConfigError):
            async with node_of(world, CAR_A):
                pass


async def test_nobody_in_reach_is_said_so() -> None:
    async with town(CAR_B) as world:
        with pytest.raises(Unreachable) as alone:
            await buy(world, CAR_B, wish(60))
        assert alone.value.code == "no_provider"
        with pytest.raises(Unreachable):
            await world.nodes[CAR_B].request(wish(60), address="radio:somewhere")
        with pytest.raises(UsageError):
            await world.nodes[CAR_B].request(wish(60), address="somewhere")


async def test_a_node_without_a_connector_for_it_asks_nobody() -> None:
    async with town(CAR_A) as world:
        with pytest.raises(LocalError) as refused:
            await world.nodes[CAR_A].request(wish(60), address="memory:car_b")
        assert refused.value.code == "no_path"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("fly", {}),
        ("discover", {"window_ms": "soon"}),
        ("discover", {"window_ms": 1}),
        ("events", {"since": -1}),
        ("events", {"kind": 5}),
        ("stop", {"request_id": 7}),
        ("request", {"service": "V2X", "energy_wh": 1}),
        ("request", {"service": "V2V", "energy_wh": True}),
        ("request", {"service": "V2V", "energy_wh": 60, "energy_min_wh": 61}),
    ],
)
async def test_a_command_that_can_not_be_meant_is_a_usage_error(method: str, params: dict[str, Any]) -> None:
    async with town(CAR_B) as world:
        with pytest.raises(UsageError):
            await Doorkeeper(world.nodes[CAR_B]).dispatch(method, params, lambda event: None)


async def test_the_door_tells_status_events_and_an_empty_list_of_trades() -> None:
    async with town(CAR_A) as world:
        door = Doorkeeper(world.nodes[CAR_A])
        status = await door.dispatch("status", {}, lambda event: None)
        assert status["provides"] == ["V2V", "V2H"]
        assert status["battery"]["soc_permille"] > 0
        assert await door.dispatch("trades", {}, lambda event: None) == []
        assert await door.dispatch("stop", {}, lambda event: None) == []
        with pytest.raises(UsageError):
            await world.nodes[CAR_A].trade(bytes(16))
