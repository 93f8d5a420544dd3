"""Money: moved by what a party signs itself, the same on both sides, and by nothing that a peer only claims."""

import pytest

from ledger.entry import Entry, SignedEntry, commit, sign_entry, trade_salt
from market.errors import Reason
from market.terms import Accept, Closed, Confirm, EntryBody, Interval, Receipt, Reject
from tests.support.node_books import REQUEST_ID, Table, table
from tests.v2xnode.settling.deals import closing, delivered, owed
from v2xnode.envelope import Link, body_of
from v2xnode.errors import PeerError
from v2xnode.settling.names import EXPENSE, INCOME, payable
from v2xnode.trading.books import LedgerRefused

RICH = 10**9


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


async def test_receipts_count_one_by_one_when_their_answers_come_late() -> None:
    async with table() as world:
        interval = await world.interval(2, (await delivered(world, 100)).digest)
        late = [await world.receipt(number, interval, (amount,)) for number, amount in ((2, 120), (3, 150))]
        for number, (receipt, amount) in enumerate(zip(late, (120, 150), strict=True), start=3):
            await world.interval(number, receipt.digest)
            assert await owed(world) == (0, amount)


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
