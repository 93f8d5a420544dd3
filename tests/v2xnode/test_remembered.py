"""A node whose card forgot the end of its ledger: its peers remember, and nothing is signed twice or forgiven."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.store.view import StoredEntry
from tests.support.node_pair import Town, node_of, prepare, town, until, wish
from v2xnode.cli.ledger import reading
from v2xnode.config import DATABASE_FILE

PLACES = ("car_a", "car_b")


def own_entries(built: Town, place: str) -> Sequence[StoredEntry]:
    with reading(built.data(place)) as reader:
        return [each for each in reader.page(limit=10_000) if each.own]


def copy_database(source: Path, target: Path) -> None:
    """In place of what is there, with the log that SQLite keeps beside it."""
    for old in target.glob(f"{DATABASE_FILE}*"):
        old.unlink()
    for part in source.glob(f"{DATABASE_FILE}*"):
        shutil.copy(part, target / part.name)


@asynccontextmanager
async def running(built: Town) -> AsyncIterator[None]:
    async with node_of(built, "car_a") as provider, node_of(built, "car_b") as client:
        built.nodes = {"car_a": provider, "car_b": client}
        yield


async def trade(built: Town) -> None:
    """One more, with both nodes started for it and stopped after it."""
    async with running(built):
        await built.nodes["car_b"].request(wish(60))
        await built.heard("car_b", "told")


@asynccontextmanager
async def two_cars() -> AsyncIterator[Town]:
    async with town() as built:
        for place in PLACES:
            prepare(built, place)
        await built.plug()
        yield built


@pytest.mark.parametrize("lost", PLACES)
async def test_a_ledger_that_lost_a_trade_gets_it_back_before_the_next(tmp_path: Path, lost: str) -> None:
    async with two_cars() as built:
        await trade(built)
        copy_database(built.data(lost), tmp_path)
        await trade(built)
        owed = built.balances(lost)
        signed = {each.hash for each in own_entries(built, lost)}
        copy_database(tmp_path, built.data(lost))
        assert built.balances(lost) != owed, "the copy has forgotten a debt"
        await trade(built)
        after = own_entries(built, lost)
        forgotten = {each.hash for each in after} & signed
        trades_of = [each for each in after if each.request_id and each.hash in signed]
        assert len({each.request_id for each in trades_of}) == 2, "both earlier trades are there again"
        assert forgotten >= {each.hash for each in trades_of}
        assert [each.type for each in after].count(EntryType.KEY) == 2, "in a new epoch, and only one"
        places = [(each.entry.epoch, each.entry.seq) for each in after]
        assert len(set(places)) == len(places), "nothing is signed twice for one place"
        assert built.balances("car_a")["receivable"][0] == -built.balances("car_b")["payable"][0]
        built.check(*PLACES)


async def test_the_same_copy_twice_is_two_epochs(tmp_path: Path) -> None:
    async with two_cars() as built:
        await trade(built)
        copy_database(built.data("car_b"), tmp_path)
        for _ in range(2):
            await trade(built)
            copy_database(tmp_path, built.data("car_b"))
        await trade(built)
        starts = [each.entry.epoch for each in own_entries(built, "car_b") if each.type is EntryType.KEY]
        assert len(starts) == len(set(starts)) >= 2
        assert built.balances("car_a")["receivable"][0] == -built.balances("car_b")["payable"][0]
        built.check(*PLACES)


async def test_a_payment_that_was_confirmed_is_remembered_too(tmp_path: Path) -> None:
    async with two_cars() as built:
        await trade(built)
        copy_database(built.data("car_a"), tmp_path)
        async with running(built):
            due_micro, _ = built.balances("car_a")["receivable"]
            params = {"peer": built.key("car_a").hex(), "amount_micro": due_micro, "means": "cash"}
            paid = await built.nodes["car_b"].account("pay", params)
            await until("the payment", lambda: built.outbox("car_b") == 0)
            await built.nodes["car_a"].account("confirm", {"payment": paid["hash"]})
            await until("the confirmation", lambda: built.outbox("car_a") == 0)
        copy_database(tmp_path, built.data("car_a"))
        assert built.balances("car_a")["receivable"] == (due_micro, 0)
        await trade(built)
        assert built.balances("car_a")["receivable"] == (due_micro, 0), "of the new trade alone"
        built.check(*PLACES)
