"""A node that is killed in the middle of a delivery and comes back: it settles with its peer what was delivered."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.acts import V2H, V2L, V2V, Act, Trading, car_park
from tests.support.processes import until
from v2xnode.cli.ledger import reading
from v2xnode.trading.remains import unheard

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]


async def killed_and_back(trading: Trading, *places: str) -> None:
    """Each of the nodes dies at once and is started again when the plant is dead."""
    stage = trading.stage
    async with trading.flowing():
        for place in places:
            await stage.leave(place, signal.SIGKILL)
        for place in places:
            await stage.start(place)
    for place in places:
        await stage.up(place)


async def check_books(trading: Trading) -> None:
    """Both ledgers tell the same, for all that the meters counted, and nothing is held or waits any more."""
    provider, client = (trading.stage.trade(each, trading.request_id) for each in (trading.provider, trading.client))
    assert provider is not None
    assert client is not None
    assert (provider.agreed_wh, provider.amounts_micro) == (client.agreed_wh, client.amounts_micro)
    assert provider.agreed_wh >= trading.act.flowing_wh - 1
    assert await trading.unreceipted_wh(trading.client) == 0

    def at_rest(place: str) -> bool:
        with reading(trading.stage.data(place)) as reader:
            return not reader.locks() and not unheard(reader)

    for place in (trading.provider, trading.client):
        await until(f"nothing is held at {place}", lambda: at_rest(place) or None)  # noqa: B023  # waited for here


@pytest.mark.parametrize("act", [V2V, V2H, V2L], ids=lambda act: act.service)
async def test_a_killed_node_that_comes_back_settles(directory: Path, act: Act) -> None:
    async with car_park(directory, act, ("-p", "-c", "-both")) as (provider_dies, client_dies, both_die):

        async def play(trading: Trading, *places: str) -> None:
            await killed_and_back(trading, *places)
            await trading.settled()
            await trading.check_evidence()
            await check_books(trading)

        await asyncio.gather(
            play(provider_dies, provider_dies.provider),
            play(client_dies, client_dies.client),
            play(both_die, both_die.provider, both_die.client),
        )
