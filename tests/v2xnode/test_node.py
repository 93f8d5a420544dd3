from tests.support.node_pair import agree, town, wish

CAR_A, CAR_B, HOUSE = "car_a", "car_b", "house"


async def test_a_whole_trade_settles_with_the_same_amounts_on_both_sides() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        done = await world.nodes[CAR_B].request(wish(60), look_ms=150)
        provider = world.trade(CAR_A, done["request_id"])
        agree(provider, world.trade(CAR_B, done["request_id"]))
        assert 55 <= provider.agreed_wh <= 62
        owed = sum(provider.amounts_micro)
        assert world.balances(CAR_A)["receivable"] == (owed, 0)
        assert world.balances(CAR_B)["payable"] == (-owed, 0)
        assert await world.power_w("car_a.v2v") == 0
        assert world.outbox(CAR_A) == world.outbox(CAR_B) == 0
        world.check()
