"""Whole nodes after their trade: what one owner signs reaches the other, and both books come to the same."""

from typing import Any

from tests.support.node_pair import LOOK_MS, Town, town, until, wish
from v2xnode.cli.ledger import reading
from v2xnode.settling.waiting import waiting

CAR_A, CAR_B = "car_a", "car_b"


async def sold(world: Town) -> int:
    """A settled sale of the first to the second; what it comes to."""
    await world.plug()
    done: dict[str, Any] = await world.nodes[CAR_B].request(wish(60), look_ms=LOOK_MS)
    return int(done["amount_micro"])


def owed(world: Town) -> tuple[int, int]:
    """By the seller's books, and by the buyer's."""
    return world.balances(CAR_A)["receivable"][0], -world.balances(CAR_B)["payable"][0]


async def test_a_payment_is_told_confirmed_and_counts_on_both_sides() -> None:
    async with town(CAR_A, CAR_B) as world:
        amount = await sold(world)
        seller = world.key(CAR_A).hex()
        paid = await world.nodes[CAR_B].account(
            "pay", {"peer": seller, "amount_micro": amount, "currency": "EUR", "means": "cash"}
        )
        assert owed(world) == (amount, 0), "the payer's word moves the payer's books alone"

        def told() -> bool:
            return any(each["hash"] == paid["hash"] for each in _waiting(world, CAR_A))

        await until("the seller hears of it", lambda: told() or None)
        await world.nodes[CAR_A].account("confirm", {"payment": paid["hash"]})
        assert owed(world) == (0, 0)
        await until("the buyer has the answer", lambda: world.outbox(CAR_A) == 0 or None)
        assert _waiting(world, CAR_B) == []
        world.check()


async def test_a_net_is_answered_by_the_other_node_itself() -> None:
    async with town(CAR_A, CAR_B) as world:
        amount = await sold(world)
        await world.nodes[CAR_B].account("net", {"peer": world.key(CAR_A).hex()})
        await until("both have signed it", lambda: world.outbox(CAR_A) + world.outbox(CAR_B) == 0 or None)
        assert owed(world) == (amount, amount)
        done = await world.nodes[CAR_B].account("prune", {"peer": world.key(CAR_A).hex()})
        assert done["pruned"] == 1
        assert [each["state"] for each in await world.nodes[CAR_B].trades()] == ["netted"]
        world.check()


def _waiting(world: Town, place: str) -> list[dict[str, Any]]:
    with reading(world.data(place)) as reader:
        return [each.as_json() for each in waiting(reader)]
