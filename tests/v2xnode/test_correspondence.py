"""What two running nodes tell each other after the trade: checkpoints to cosign, payments, balances, disputes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ledger.entry import EntryType
from ledger.proofs.proving import HeldCheckpoint, cosignatures, newest_checkpoint
from ledger.store.view import StoredEntry
from tests.support.node_pair import Town, town, until, wish
from v2xnode.cli.ledger import reading

PLACES = ("car_a", "car_b")


def entries(built: Town, place: str, kind: EntryType, *, own: bool) -> Sequence[StoredEntry]:
    with reading(built.data(place)) as reader:
        return [each for each in reader.page(limit=10_000) if each.type is kind and each.own is own]


@asynccontextmanager
async def after_a_trade() -> AsyncIterator[tuple[Town, dict[str, Any]]]:
    async with town(*PLACES) as built:
        await built.plug()
        done = await built.nodes["car_b"].request(wish(100))
        await built.heard("car_b", "told")
        yield built, done


async def test_each_side_cosigns_the_others_checkpoint() -> None:
    async with after_a_trade() as (built, _):
        for place, witness in (PLACES, PLACES[::-1]):
            with reading(built.data(place)) as reader:
                head = reader.head()
                assert head is not None
                held = newest_checkpoint(reader, head.entry.epoch)
                assert isinstance(held, HeldCheckpoint)
                (cosigned,) = cosignatures(reader, held)
                assert cosigned.witness == built.key(witness)
                assert cosigned.check(held.checkpoint, reader.keys_of(cosigned.witness)) > 0
        built.check(*PLACES)


async def test_a_payment_is_told_and_its_confirmation_comes_back() -> None:
    async with after_a_trade() as (built, done):
        provider, client = built.nodes["car_a"], built.nodes["car_b"]
        params = {"peer": built.key("car_a").hex(), "amount_micro": done["amount_micro"], "means": "cash"}
        await client.account("pay", params)
        (pay,) = await until("the payment", lambda: entries(built, "car_a", EntryType.PAY, own=False) or None)
        assert built.balances("car_a")["receivable"] == (done["amount_micro"], 0), "the payee has not confirmed it"
        await provider.account("confirm", {"payment": pay.hash.hex()})
        await until("the confirmation", lambda: entries(built, "car_b", EntryType.PAY, own=False) or None)
        assert built.balances("car_a")["receivable"] == built.balances("car_b")["payable"] == (0, 0)
        await until("silence", lambda: (built.outbox("car_a"), built.outbox("car_b")) == (0, 0))
        built.check(*PLACES)


async def test_balances_that_both_books_bear_out_are_signed_by_both_without_their_owners() -> None:
    async with after_a_trade() as (built, _):
        await built.nodes["car_b"].account("net", {"peer": built.key("car_a").hex()})
        (ours,) = await until("the answer", lambda: entries(built, "car_b", EntryType.NET, own=False) or None)
        (asked,) = entries(built, "car_b", EntryType.NET, own=True)
        assert ours.entry.answers == asked.hash
        built.check(*PLACES)
