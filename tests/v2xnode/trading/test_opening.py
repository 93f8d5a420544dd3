"""What a delivery is made of, and that nothing is made of an agreement that can't be plugged."""

import pytest

from market.terms import Profile
from market.units import Role
from tests.support.node_pair import propose, stranger, town, wish
from v2xnode.errors import LocalError
from v2xnode.paths import Connectors

CAR_A = "car_a"


async def test_the_master_of_a_path_brings_the_pattern_and_the_other_side_none() -> None:
    async with town(CAR_A) as world:
        workshop = world.nodes[CAR_A]._desk._workshop
        for profile in Profile:
            for role in Role:
                begin = workshop._begin(profile, role, workshop.electrical)
                assert (begin.pattern is not None) is (profile.master is role)


async def test_a_confirmed_offer_becomes_a_delivery_of_that_peer_over_that_link() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        [delivering] = world.nodes[CAR_A]._desk._running.values()
        assert (delivering.role, delivering.peer) == (Role.PROVIDER, who.identity.public)
        assert delivering.request_id == deal.id
        assert delivering.offer == deal.answer.message
        assert not delivering.walk.path.begun


async def test_without_a_connector_nothing_is_put_together() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        desk = world.nodes[CAR_A]._desk
        desk.owner.connectors = Connectors([])
        refused = await propose(world, who, CAR_A, wish(60))
        assert type(refused.answer.message).__name__ == "Decline"
        with pytest.raises(LocalError):
            desk.owner.connectors.record_as(Role.PROVIDER, desk.config.electrical.record())
        assert deal.id in desk._selling
