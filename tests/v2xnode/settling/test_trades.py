"""A trade as people see it: its state, and what it costs."""

from market.errors import Reason
from market.terms import Accept, Close, Confirm, Dispute, Receipt, Reject, Void
from tests.support.node_books import REQUEST_ID, table
from tests.v2xnode.settling.deals import closing, delivered, owed
from v2xnode.settling.accounts import owed_by_all
from v2xnode.settling.trades import describe, trades
from v2xnode.trading.books import Verdict


async def test_an_accept_after_a_rejected_one_is_the_trade() -> None:
    async with table() as world:
        first = await world.by(world.client, Accept(world.provider.key, 0, "EUR"), world.letters[1].digest)
        verdict = Verdict(Reject(world.client.key, 0, Reason.BUSY))
        reject, _ = await world.provider.books.decide(REQUEST_ID, first.digest, lambda view: verdict)
        told = await world.provider.trade()
        assert told is not None
        assert (told.state, told.reason) == ("rejected", Reason.BUSY)
        await world.client.books.receive(reject)
        confirm = await world.agree()
        await world.interval(0, confirm.digest)
        told = await world.provider.trade()
        assert told is not None
        assert told.state == "delivering"
        assert len(told.of(Confirm)) == 1


async def test_a_void_is_told_as_such_and_costs_nothing() -> None:
    async with table() as world:
        confirm = await world.agree()
        await world.by(world.client, Void(world.provider.key, 0, Reason.WITHDRAWN), confirm.digest)
        told = await world.provider.trade()
        assert told is not None
        assert (told.state, told.reason, told.amounts_micro) == ("void", Reason.WITHDRAWN, ())
        assert await owed(world) == (0, 0)


async def test_a_providers_void_that_crossed_the_clients_close_over_nothing_is_told_alike_on_both_sides() -> None:
    async with table() as world:
        confirm = await world.agree()
        opening = await world.interval(0, confirm.digest)
        receipt = Receipt(world.provider.key, 0, 0, 0, (0,))
        last = await world.client.books.append(world.provider.key, REQUEST_ID, receipt, opening.digest)
        await world.client.books.append(world.provider.key, REQUEST_ID, closing(world, world.client, 0, 1), last.digest)
        await world.by(world.provider, Void(world.client.key, 0, Reason.SHUTDOWN), confirm.digest)
        for side in (world.provider, world.client):
            told = await side.trade()
            assert told is not None
            assert (told.state, told.agreed_wh, told.amounts_micro) == ("void", 0, ())
        assert await owed(world) == (0, 0)


async def test_a_clients_void_after_the_providers_close_of_what_was_disputed_voids_nothing() -> None:
    async with table() as world:
        answers = (await world.agree()).digest
        opening = await world.interval(0, answers, 0)
        receipt = await world.receipt(0, opening, (0,))
        interval = await world.interval(1, receipt.digest, 1)
        dispute = await world.by(world.client, Dispute(world.provider.key, 0, 1, 20, 10, 20), interval.digest)
        close = Close(world.client.key, 0, Reason.METER_DISAGREEMENT, 1, 10, (5,))
        await world.by(world.provider, close, dispute.digest)
        await world.by(world.client, Void(world.provider.key, 0, Reason.WITHDRAWN), answers)
        told = await world.provider.trade()
        assert told is not None
        assert (told.state, told.agreed_wh, told.amounts_micro) == ("closing", 10, (5,))


async def test_receipts_that_come_after_a_void_bring_nothing_back() -> None:
    async with table() as world:
        confirm = await world.agree()
        opening = await world.interval(0, confirm.digest, 0)
        await world.by(world.client, Void(world.provider.key, 0, Reason.WITHDRAWN), confirm.digest)
        for number in range(2):
            await world.receipt(number, opening, (1_000_000,))
        told = await world.provider.trade()
        assert told is not None
        assert (told.state, told.agreed_wh, told.amounts_micro) == ("void", 0, ())


async def test_what_peers_owe_and_the_trades_are_listed() -> None:
    async with table() as world:
        last = await delivered(world, 1_250_000)
        await world.by(world.provider, closing(world, world.provider, 1_250_000, 2), last.digest)
        key = world.client.key
        assert await world.provider.books.run(lambda view: owed_by_all(view, "EUR")) == {key: 1_250_000}
        assert await world.provider.books.run(lambda view: owed_by_all(view, "SEK")) == {}
        [told] = await world.provider.books.run(trades)
        assert "1.250000 EUR" in describe(told)
        assert told.as_json()["amount_micro"] == 1_250_000
        assert await world.provider.trade(bytes(16)) is None
