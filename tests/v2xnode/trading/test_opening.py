"""From an agreement to the delivery that is to run: whose limits, whose pattern, how the contacts are judged."""

import pytest

from market.units import Role, Service
from tests.support.node_shop import PROFILE, at_counter, seen, shop
from transports.memory import MemoryNetwork
from v2xnode.paths import limits_of
from v2xnode.power.events import CHADEMO_WELD_LIMIT_MV, WELD_LIMIT_MV
from v2xnode.trading.asking import Wish


async def test_a_provider_begins_with_both_sides_limits_and_the_agreed_power() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side, power_max_w=4_000)
        running = await at.confirmed()
        begin = running.walk.begin
        assert (begin.profile, begin.role) == (PROFILE, Role.PROVIDER)
        assert begin.own == limits_of(side.electrical)
        assert begin.peer == limits_of(client.electrical)
        assert running.walk.power_max_w == running.offer.power_w == 4_000
        assert running.peer == client.key
        assert running.finished is None


@pytest.mark.parametrize("role", [Role.PROVIDER, Role.CLIENT])
async def test_only_the_master_of_the_path_brings_a_pattern(role: Role) -> None:
    network = MemoryNetwork(1)
    wish = Wish(Service.V2V, 5_000, 1_000, 11_000, 600_000, 7_200_000)
    async with (
        shop() as side,
        shop(2, role=Role.CLIENT) as client,
        side.on(network, "shop"),
        client.on(network, "client") as links,
    ):
        agreed = await client.need(wish, links).agree([seen("shop")])
        [selling] = side.selling.values()
        assert selling.delivering is not None
        ours, _ = client.workshop.for_client(agreed)
        begin = (selling.delivering if role is Role.PROVIDER else ours).walk.begin
        assert begin.role is role
        assert (begin.pattern is not None) is (PROFILE.master is role)
        await agreed.asked.link.aclose()


@pytest.mark.parametrize(
    ("ours", "theirs", "limit_mv"),
    [
        (["CHADEMO"], ["CHADEMO"], CHADEMO_WELD_LIMIT_MV),
        (["CHADEMO", "CCS2"], ["CHADEMO"], CHADEMO_WELD_LIMIT_MV),
        (["CCS2"], ["CCS2"], WELD_LIMIT_MV),
        (["CHADEMO", "CCS2"], ["CHADEMO", "CCS2"], WELD_LIMIT_MV),
    ],
    ids=str,
)
async def test_chademo_asks_for_less_voltage_before_it_unlocks(
    ours: list[str], theirs: list[str], limit_mv: int
) -> None:
    async with shop(connectors=ours) as side, shop(2, connectors=theirs) as client:
        running = await (await at_counter(client, side)).confirmed()
        assert running.walk.begin.weld_limit_mv == limit_mv
