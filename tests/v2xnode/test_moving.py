"""A delivery that loses its bearer goes on over another one: the same session, one settlement.

Both bearers are in-memory networks here; `tests/journeys` does the same over a radio and CoAP.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from market.terms import Close, Interval
from market.units import Service
from tests.support.node_pair import LOOK_MS, Town, agree, town, until, wish
from transports.memory import MemoryNetwork
from v2xnode.trading.client_channel import ClientChannel

CAR_A, CAR_B, HOUSE = "car_a", "car_b", "house"


def channel(world: Town, place: str) -> ClientChannel:
    """Of the one delivery that a client receives."""
    [delivering] = world.nodes[place]._desk.deliveries.running.values()
    assert isinstance(delivering.channel, ClientChannel)
    return delivering.channel


async def flowing(world: Town, wh: int) -> None:
    """Until the provider's meter has counted so much."""

    def counted() -> bool:
        return any(each["delivered_wh"] >= wh for each in world.nodes[CAR_A]._desk.deliveries.as_json())

    await until(f"{wh} Wh have flowed", counted)


async def is_whole(world: Town, client: str, done: dict[str, Any], at_least_wh: int) -> None:
    """One session, settled once, alike on both sides, and never more delivered on trust than the offer says."""
    [sale], [purchase] = world.trades(CAR_A), world.trades(client)
    assert sale.request_id.hex() == purchase.request_id.hex() == done["request_id"]
    await world.heard(CAR_A, "finished")
    [sale] = world.trades(CAR_A)
    agree(sale, purchase)
    assert len(sale.of(Close)) == 1
    assert sale.agreed_wh >= at_least_wh
    assert sale.offer is not None
    steps = [late.register_wh - soon.register_wh for soon, late in itertools.pairwise(sale.of(Interval))]
    assert max(steps) <= sale.offer.exposure_wh
    world.check()


@asynccontextmanager
async def two_cars(wh: int, *, speed: int) -> AsyncIterator[tuple[Town, MemoryNetwork, "asyncio.Task[dict[str, Any]]"]]:
    """A delivery between cars that flows over BLE, with CoAP beside it: the world, BLE's network, the purchase."""
    ble, coap = MemoryNetwork(1, bearer="ble"), MemoryNetwork(2, bearer="coap")
    async with town(CAR_A, CAR_B, networks=[ble, coap], node={"prefer": ["ble", "coap"]}, speed=speed) as world:
        await world.plug()
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(wh), look_ms=LOOK_MS))
        await flowing(world, 5)
        yield world, ble, buying


async def test_a_house_that_hears_nothing_more_goes_on_over_the_other_bearer_and_the_light_stays_on() -> None:
    first, second = "coap", "ble"
    networks = {name: MemoryNetwork(seed, bearer=name) for seed, name in enumerate((first, second))}
    async with town(CAR_A, HOUSE, networks=list(networks.values()), node={"prefer": [first, second]}) as world:
        await world.plug("wallbox", "car_a.v2h", "house.v2h")
        buying = asyncio.create_task(world.nodes[HOUSE].request(wish(40, Service.V2H), look_ms=LOOK_MS))
        await flowing(world, 5)
        assert channel(world, HOUSE).bearer == first
        networks[first].partition(CAR_A, HOUSE)
        await until("the session has moved", lambda: channel(world, HOUSE).bearer == second)
        assert await world.power_w("car_a.v2h") > 0
        done = await buying
        assert world.events(CAR_A, "power_cut")[-1].data["code"] == "energy_reached"
        await is_whole(world, HOUSE, done, at_least_wh=38)


async def test_a_car_whose_link_breaks_goes_on_over_the_other_bearer() -> None:
    async with two_cars(90, speed=2) as (world, ble, buying):
        broken = channel(world, CAR_B).link
        assert broken.bearer == "ble"
        ble.partition(CAR_A, CAR_B)
        await broken.raw.aclose()
        done = await buying
        assert world.events(CAR_A, "power_cut")[-1].data["code"] == "energy_reached"
        await is_whole(world, CAR_B, done, at_least_wh=88)


async def test_a_move_between_two_bearers_that_work_is_one_move() -> None:
    """The link that is left ends its subscription, which is no loss."""
    async with two_cars(90, speed=2) as (world, _, buying):
        [delivering] = world.nodes[CAR_B]._desk.deliveries.running.values()
        delivering.lost()
        await until("the session has moved", lambda: channel(world, CAR_B).bearer == "coap")
        moved = channel(world, CAR_B).link
        await flowing(world, 60)
        assert channel(world, CAR_B).link is moved
        await is_whole(world, CAR_B, await buying, at_least_wh=88)


async def test_a_car_that_moved_in_time_is_not_cut() -> None:
    """On the new link Alive names 0 until a Status has come: the link itself is what tells that the peer lives."""
    async with two_cars(40, speed=1) as (world, ble, buying):
        [delivering] = world.nodes[CAR_B]._desk.deliveries.running.values()
        ble._delay_ms = (60_000, 60_000)
        await asyncio.sleep(1.7)  # of the 3 s after which silence cuts
        delivering.lost()
        done = await buying
        assert world.events(CAR_A, "power_cut")[-1].data["code"] == "energy_reached"
        await is_whole(world, CAR_B, done, at_least_wh=38)
