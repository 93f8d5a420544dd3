"""Nodes whose ledgers are on PostgreSQL trade as others do, and the same commands look at them."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from ledger.errors import StoreFailed
from tests.support.node_pair import LOOK_MS, Town, agree, node_of, prepare, town, wish
from tests.support.postgres import end_writer, place
from tests.v2xnode.cli.calling import called, printed
from v2xnode.config import CONFIG_FILE, DATABASE_FILE
from v2xnode.trading.books import LedgerRefused

SIDES = ("car_a", "car_b")


@pytest.fixture
def urls() -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        yield {side: stack.enter_context(place()) for side in SIDES}


async def test_two_nodes_trade_and_the_commands_find_their_ledgers(urls: dict[str, str]) -> None:
    async with town() as world:
        async with AsyncExitStack() as running:
            for side, url in urls.items():
                prepare(world, side)
                name_server(world.data(side), url)
                world.nodes[side] = await running.enter_async_context(node_of(world, side))
            await world.plug()
            done = await world.nodes["car_b"].request(wish(60), look_ms=LOOK_MS)
            agree(*(world.trade(side, done["request_id"]) for side in SIDES))
            world.check()
        look_with_commands(world, done["request_id"])


async def test_a_node_whose_server_is_gone_ends_and_starts_again(urls: dict[str, str]) -> None:
    async with town() as world:
        prepare(world, "car_a")
        name_server(world.data("car_a"), urls["car_a"])
        with pytest.raises(StoreFailed, match="lost"):
            await lose_its_server(world, urls["car_a"])
        async with node_of(world, "car_a") as node:
            assert await node.trades() == []


async def lose_its_server(world: Town, url: str) -> None:
    async with node_of(world, "car_a") as node:
        end_writer(url)
        with pytest.raises(LedgerRefused):
            await node.trades()
        await asyncio.Event().wait()


def name_server(data: Path, url: str) -> None:
    config = data / CONFIG_FILE
    config.write_text(f'{config.read_text()}\n[ledger]\nurl = "{url}"\n')


def look_with_commands(world: Town, request_id: str) -> None:
    for side in SIDES:
        data = world.data(side)
        verified = called("ledger", "verify", "--data", data, "--json")
        assert (verified.exit_code, printed(verified)["ok"]) == (0, True)
        shown = printed(called("ledger", "show", "--data", data, "--json"))
        assert [each["request_id"] for each in shown["trades"]] == [request_id]
        lines = called("ledger", "export", "--data", data).stdout.splitlines()
        assert sum(json.loads(line)["kind"] == "entry" for line in lines) == printed(verified)["entries"]
        assert not (data / DATABASE_FILE).exists()
