"""The owner's limits held against what the node has and owes, asked by a stranger."""

from typing import Any

import pytest

from market.errors import Reason
from market.terms import Decline, Offer
from tests.support.node_pair import propose, stranger, town, wish
from v2xnode.trading.owner import debt_lock

CAR_A = "car_a"


@pytest.mark.parametrize(
    ("limits", "to_owner", "to_peer"),
    [
        ({"reserve_permille": 900}, "reserve", Reason.ENERGY_UNAVAILABLE),
        ({"daily_cap_wh": 10}, "daily_cap", Reason.ENERGY_UNAVAILABLE),
        ({"strangers": "no"}, "not_listed", Reason.NOT_WELCOME),
        ({"strangers": "ask"}, "stranger", Reason.AWAITING_OWNER),
        ({"only_listed": True}, "not_listed", Reason.NOT_WELCOME),
        ({"stranger_debt_cap_micro": 1}, "stranger_debt_cap", Reason.CREDIT_LIMIT),
        ({"provides": ["V2H"]}, "service_off", Reason.NOT_OFFERED),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_the_owner_hears_which_limit_refused_and_the_peer_a_neutral_word(
    limits: dict[str, Any], to_owner: str, to_peer: Reason
) -> None:
    async with town(CAR_A, owners={CAR_A: limits}) as world, stranger(world) as who:
        said = (await propose(world, who, CAR_A, wish(100, least_wh=100))).answer.message
        assert isinstance(said, Decline)
        assert said.reason is to_peer
        assert said.reason is said.reason.for_peer
        assert world.events(CAR_A, "refused")[-1].data["code"] == to_owner


async def test_a_battery_that_does_not_answer_sells_nothing_and_the_node_goes_on() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        node = world.nodes[CAR_A]
        devices = node._desk.connectors.battery
        assert devices is not None
        assert devices.battery is not None
        await devices.battery._access.aclose()  # type: ignore[attr-defined]  # the way to the plant, cut
        said = (await propose(world, who, CAR_A, wish(60))).answer.message
        assert isinstance(said, Decline)
        assert said.reason is Reason.NOT_OFFERED
        assert world.events(CAR_A, "device_failed")
        assert (await node.status())["battery"] is None


async def test_what_was_sold_today_counts_and_yesterday_does_not() -> None:
    async with town(CAR_A, owners={CAR_A: {"daily_cap_wh": 100}}) as world, stranger(world) as who:
        owner = world.nodes[CAR_A]._desk.owner
        owner._sales = [(world.clock.wall_ms() - 2 * 86_400_000, 90)]
        assert isinstance((await propose(world, who, CAR_A, wish(60, least_wh=60))).answer.message, Offer)
        owner.sold(90)
        assert isinstance((await propose(world, who, CAR_A, wish(60, least_wh=60))).answer.message, Decline)


def test_a_debt_lock_fits_the_ledgers_names() -> None:
    assert len(debt_lock(b"\xff" * 32)) <= 64
    assert debt_lock(b"a" * 32) != debt_lock(b"b" * 32)
