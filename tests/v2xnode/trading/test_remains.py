"""What the ledger tells of a session that a restart interrupted."""

from ledger.store.view import Lock
from market.delivery import Restart, Written
from market.errors import Reason
from market.terms import Accept, Close, Confirm, Reject, Void
from tests.support.node_books import REQUEST_ID, Table, table
from v2xnode.trading.books import Verdict
from v2xnode.trading.remains import Remains, remains, running, unheard


async def left_at(world: Table, *, provider: bool) -> Remains:
    side = world.provider if provider else world.client
    found = await side.books.run(lambda view: remains(view, REQUEST_ID))
    assert found is not None
    return found


async def accepted(world: Table) -> bytes:
    said = Accept(world.provider.key, 0, "EUR")
    return (await world.by(world.client, said, world.letters[1].digest)).digest


async def opened(world: Table) -> None:
    """Agreed, and the opening registers receipted."""
    confirm = await world.agree()
    await world.receipt(0, await world.interval(0, confirm.signed.entry.answers), [])


async def test_a_session_that_never_came_to_an_accept_leaves_nothing() -> None:
    async with table() as world:
        assert await world.client.books.run(lambda view: remains(view, REQUEST_ID)) is None


async def test_an_unanswered_accept_is_voided_by_its_client_and_unconfirmed_at_its_provider() -> None:
    async with table() as world:
        accept = await accepted(world)
        ours = await left_at(world, provider=False)
        assert (ours.confirmed, ours.is_sale, ours.to_say) == (False, False, ())
        assert ours.agreement(0, 0).answers == world.letters[1].digest
        assert ours.first == [Restart(Reason.SHUTDOWN, Written.NOTHING)]
        theirs = await left_at(world, provider=True)
        assert (theirs.confirmed, theirs.is_sale, theirs.accepts) == (False, True, frozenset({accept}))


async def test_what_was_not_acknowledged_is_still_to_be_said() -> None:
    async with table() as world:
        await opened(world)
        receipt = (await world.client.outbox())[-1]
        ours = await left_at(world, provider=False)
        assert [each.digest for each in ours.to_say] == [receipt]
        assert ours.stands.account.receipts == 1


async def test_a_latched_stop_says_why_a_session_ends() -> None:
    async with table() as world:
        await opened(world)
        await world.provider.books.latch_stop(REQUEST_ID, Reason.WRONG_PLUG)
        assert (await left_at(world, provider=True)).reason is Reason.WRONG_PLUG


async def test_a_close_of_the_peer_is_heard_again_after_the_restart() -> None:
    async with table() as world:
        await opened(world)
        close = Close(world.client.key, 0, Reason.ENERGY_REACHED, 1, 0, (0,))
        answers = (await left_at(world, provider=True)).agreement(0, 0).answers
        told = await world.by(world.provider, close, answers)
        restart, heard = (await left_at(world, provider=False)).first
        assert restart == Restart(Reason.SHUTDOWN, Written.NOTHING)
        assert getattr(heard, "digest", None) == told.digest
        assert (await left_at(world, provider=True)).first == [Restart(Reason.ENERGY_REACHED, Written.CLOSE)]


async def test_an_accept_after_a_rejected_one_begins_anew() -> None:
    async with table() as world:
        first = await accepted(world)
        reject, _ = await world.provider.books.decide(
            REQUEST_ID, first, lambda view: Verdict(Reject(world.client.key, 0, Reason.BUSY))
        )
        await world.client.books.receive(reject)
        assert (await left_at(world, provider=False)).is_over
        second = await accepted(world)
        confirm, _ = await world.provider.books.decide(
            REQUEST_ID, second, lambda view: Verdict(Confirm(world.client.key, 0))
        )
        await world.client.books.receive(confirm)
        ours = await left_at(world, provider=False)
        assert (ours.is_over, ours.confirmed) == (False, True)
        assert ours.agreement(0, 0).answers == confirm.digest


async def test_locks_tell_what_ran_and_the_outbox_what_a_provider_has_not_heard() -> None:
    async with table() as world:
        said = Accept(world.provider.key, 0, "EUR")
        lock = Lock(REQUEST_ID, "buying", 60, 0, 10)
        offered, append = world.letters[1].digest, world.client.books.append
        await append(world.provider.key, REQUEST_ID, said, offered, letters=world.letters, locks=[lock])
        assert await world.client.books.run(running) == [REQUEST_ID]
        assert await world.client.books.run(unheard) == []
        void = Void(world.provider.key, 0, Reason.WITHDRAWN)
        await append(world.provider.key, REQUEST_ID, void, offered, unlock=True)
        assert await world.client.books.run(running) == []
        assert await world.client.books.run(unheard) == [REQUEST_ID]
        await world.client.books.forget_unsaid(REQUEST_ID)
        assert await world.client.books.run(unheard) == []


async def test_a_provider_waits_for_the_client_to_come_back() -> None:
    async with table() as world:
        await opened(world)
        await world.interval(1, (await left_at(world, provider=True)).agreement(0, 0).answers)
        assert await world.provider.outbox() != []
        assert await world.provider.books.run(unheard) == []
