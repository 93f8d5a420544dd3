"""Two ledgers of one settled trade, as two nodes leave them in their data directories."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from market.errors import Reason
from market.terms import Close, Closed
from tests.support.node_books import Party, table
from v2xnode.config import DATABASE_FILE

AMOUNT_MICRO = 250


@pytest.fixture
def settled(tmp_path: Path) -> Path:
    """A directory with `provider` and `client`, whose ledgers agree on 250 millionths."""
    asyncio.run(_trade(tmp_path))
    return tmp_path


async def _trade(directory: Path) -> None:
    async with table() as world:
        confirm = await world.agree()
        answers = confirm.digest
        for number, amount_micro in enumerate((0, 100, AMOUNT_MICRO)):
            interval = await world.interval(number, answers, number)
            answers = (await world.receipt(number, interval, (amount_micro,))).digest
        close = Close(world.client.key, 0, Reason.ENERGY_REACHED, 3, 0, (AMOUNT_MICRO,))
        closed = Closed(world.provider.key, 0, 3, 0, (AMOUNT_MICRO,))
        await world.by(world.client, closed, (await world.by(world.provider, close, answers)).digest)
        _keep(world.provider, directory / "provider")
        _keep(world.client, directory / "client")


def _keep(party: Party, data: Path) -> None:
    data.mkdir()
    with closing(sqlite3.connect(party.path)) as source, closing(sqlite3.connect(data / DATABASE_FILE)) as kept:
        source.backup(kept)
