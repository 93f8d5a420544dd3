"""A whole trade over the in-memory network at 10 kbps and 300 ms each way: what runs where no namespaces can be made.

World time is five times as fast as real time, and so is the link.
"""

import asyncio

from tests.support.node_pair import LOOK_MS, SPEED, agree, town, until, wish

CAR_A, CAR_B = "car_a", "car_b"


async def traded(loss_permille: int) -> None:
    rate_bps, delay_ms = 10_000 * SPEED, (300 // SPEED, 300 // SPEED)
    async with town(CAR_A, CAR_B, rate_bps=rate_bps, delay_ms=delay_ms, loss_permille=loss_permille) as world:
        await world.plug()
        done = await world.nodes[CAR_B].request(wish(40), look_ms=LOOK_MS * SPEED)
        await until("the provider is done", lambda: world.events(CAR_A, "finished") or None)
        agree(world.trade(CAR_A, done["request_id"]), world.trade(CAR_B, done["request_id"]))
        world.check()
        assert await world.power_w("car_a.v2v") == 0
        assert done["receipts"] >= 1


async def test_a_trade_settles_whatever_the_network_loses() -> None:
    await asyncio.gather(*map(traded, (0, 100, 200)))
