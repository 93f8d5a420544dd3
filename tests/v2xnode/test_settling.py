"""Money: moved by what a party signs itself, the same on both sides, and by nothing that a peer only claims."""

import pytest

from ledger.entry import Entry, SignedEntry, commit, sign_entry, trade_salt
from market.errors import Reason
from market.terms import Accept, Close, Closed, Confirm, Dispute, EntryBody, Interval, Receipt, Reject, Void
from tests.support.node_books import REQUEST_ID, Party, Table, table
from v2xnode.envelope import Link, body_of
from v2xnode.errors import PeerError
from v2xnode.settling import EXPENSE, INCOME, describe, owed_by_all, payable, receivable, trades
from v2xnode.trading.books import LedgerRefused, Verdict

RICH = 10**9


async def owed(world: Table) -> tuple[int, int]:
    """What the provider's books say that the client owes: posted, pending."""
    return await world.provider.balance(receivable(world.client.key))


async def delivered(world: Table, *amounts_micro: int) -> Link:
    """An agreement with receipts of these cumulative amounts; the newest."""
    answers = (await world.agree()).digest
    newest = None
    for number, amount in enumerate((0, *amounts_micro)):
        interval = await world.interval(number, answers, number)
        newest = await world.receipt(number, interval, (amount,))
        answers = newest.digest
    assert newest is not None
    return newest


def closing(world: Table, who: Party, amount_micro: int, receipts: int = 3) -> Close:
    peer = world.client.key if who is world.provider else world.provider.key
    return Close(peer, 0, Reason.ENERGY_REACHED, receipts, 0, (amount_micro,))


async def test_receipts_are_pending_and_the_settlement_posts_them_in_both_books() -> None:
    async with table() as world:
        last = await delivered(world, 100, 250)
        assert await world.client.balance(payable(world.provider.key)) == (0, -250)
        close = await world.by(world.provider, closing(world, world.provider, 250), last.digest)
        await world.by(world.client, Closed(world.provider.key, 0, 3, 0, (250,)), close.digest)
        assert await owed(world) == (250, 0)
        assert await world.provider.balance(INCOME) == (-250, 0)
        assert await world.client.balance(payable(world.provider.key)) == (-250, 0)
        assert await world.client.balance(EXPENSE) == (250, 0)


async def test_the_provider_counts_a_receipt_from_its_own_answer_to_it() -> None:
    async with table() as world:
        first = await delivered(world, 100)
        assert await owed(world) == (0, 0)
        await world.interval(2, first.digest)
        assert await owed(world) == (0, 100)


async def test_a_receipt_that_the_provider_does_not_answer_moves_nothing() -> None:
    async with table() as world:
        good = await delivered(world, 100)
        interval = await world.interval(2, good.digest)
        await world.receipt(2, interval, (RICH,))
        close = await world.by(world.provider, closing(world, world.provider, 100), good.digest)
        assert await owed(world) == (100, 0)
        await world.by(world.client, Closed(world.provider.key, 0, 3, 0, (100,)), close.digest)
        assert await owed(world) == (100, 0)


@pytest.mark.parametrize("undisputed", [0, 180, 400])
async def test_after_a_dispute_nothing_is_pending_and_the_debt_is_what_was_settled(undisputed: int) -> None:
    """Whether it settles less than was receipted, or more."""
    async with table() as world:
        last = await delivered(world, 100, 250)
        close = await world.by(world.provider, closing(world, world.provider, undisputed), last.digest)
        await world.by(world.client, Closed(world.provider.key, 0, 3, 0, (undisputed,)), close.digest)
        assert await owed(world) == (undisputed, 0)
        assert await world.provider.balance(INCOME) == (-undisputed, 0)
        assert await world.client.balance(payable(world.provider.key)) == (-undisputed, 0)


@pytest.mark.parametrize("claimed", [0, RICH])
async def test_a_clients_settlement_neither_wipes_nor_makes_a_debt(claimed: int) -> None:
    async with table() as world:
        last = await delivered(world, 100, 250)
        close = await world.by(world.provider, closing(world, world.provider, 250), last.digest)
        await world.by(world.client, Closed(world.provider.key, 0, 3, 0, (claimed,)), close.digest)
        assert await owed(world) == (250, 0)
        told = await world.provider.trade()
        assert told is not None
        assert (told.state, sum(told.amounts_micro)) == ("closing", 250)


async def test_a_providers_close_bills_nobody() -> None:
    async with table() as world:
        last = await delivered(world, 100)
        await world.by(world.provider, closing(world, world.provider, RICH), last.digest)
        assert await world.client.balance(payable(world.provider.key)) == (0, -100)
        told = await world.client.trade()
        assert told is not None
        assert sum(told.amounts_micro) == 100


async def test_a_providers_own_receipt_is_refused_by_its_client() -> None:
    async with table() as world:
        last = await delivered(world, 100)
        interval = await world.interval(2, last.digest)
        bill = Receipt(world.client.key, 2, 0, 0, (RICH,))
        with pytest.raises(LedgerRefused):  # its own books know better, too
            await world.by(world.provider, bill, interval.digest)
        assert await world.client.balance(payable(world.provider.key)) == (0, -100)


async def test_a_delivered_trade_is_not_begun_anew_to_undo_its_debt() -> None:
    async with table() as world:
        last = await delivered(world, 250)
        await world.by(world.provider, closing(world, world.provider, 250, 2), last.digest)
        again = Accept(world.provider.key, 0, "EUR")
        with pytest.raises(LedgerRefused):
            await world.by(world.client, again, world.letters[1].digest)
        assert await owed(world) == (250, 0)


@pytest.mark.parametrize(
    "said", [Interval(b"p" * 32, 1, 1, 0), Reject(b"p" * 32, 0, Reason.WITHDRAWN), Confirm(b"p" * 32, 0)], ids=type
)
async def test_a_client_writes_nothing_that_is_its_providers_to_write(said: EntryBody) -> None:
    async with table() as world:
        await delivered(world, 250)
        forged = await _signed(world, said)
        before = await world.provider.entries()
        with pytest.raises(PeerError, match="only the provider"):
            await world.provider.books.receive(forged)
        assert await world.provider.entries() == before


async def test_the_provider_refuses_such_an_accept_although_its_client_signed_it() -> None:
    async with table() as world:
        last = await delivered(world, 250)
        await world.by(world.provider, closing(world, world.provider, 250, 2), last.digest)
        forged = await _signed(world, Accept(world.provider.key, 1, "EUR"))
        before = await world.provider.entries()
        with pytest.raises(PeerError) as refused:
            await world.provider.books.receive(forged)
        assert refused.value.code == "malformed"
        assert (await owed(world), await world.provider.entries()) == ((250, 0), before)


async def _signed(world: Table, message: EntryBody) -> Link:
    """An entry by the client's key that its own books would refuse: an answer to the offer."""
    head = await world.client.books.run(lambda transaction: transaction.head())
    assert head is not None
    kind, body = body_of(message)
    last = head.entry
    salt = trade_salt(REQUEST_ID, last.epoch, last.seq + 1)
    answers = world.letters[1].digest
    entry = Entry(1, last.node, last.epoch, last.seq + 1, last.hash, kind, answers, commit(salt, body))
    signed: SignedEntry = sign_entry(world.client.identity.signer, entry, salt=salt, body=body, request_id=REQUEST_ID)
    return Link(message, signed)


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
