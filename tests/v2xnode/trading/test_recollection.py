"""Twin of v2xnode/trading/recollection.py: what a peer that shows us things can't bring about."""

import pytest

from ledger.entry import Entry, SignedEntry, commit, sign_entry
from market.terms import Means, Pay, Shown
from tests.support.node_books import CLOCK, Party, Table, table
from v2xnode.envelope import body_of
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.trading.recollection import Recollection, shown


def of(party: Party) -> Recollection:
    return Recollection(party.books, CLOCK, EventLog(CLOCK))


async def positions(party: Party) -> int:
    return await party.books.run(lambda tx: len(tx.page(limit=1_000)))


async def two_of_one_place(world: Table) -> list[Shown]:
    """Entries of the client's own chain that contradict each other."""
    head = await world.client.books.run(lambda tx: tx.head())
    assert head is not None
    return [shown(paid(world, amount_micro, after=head.signed)) for amount_micro in (1, 2)]


def paid(world: Table, amount_micro: int, after: SignedEntry) -> SignedEntry:
    client = world.client.identity
    kind, body = body_of(Pay(world.provider.key, 0, amount_micro, Means.CASH))
    last, salt = after.entry, bytes(16)
    entry = Entry(1, client.public, last.epoch, last.seq + 1, last.hash, kind, b"", commit(salt, body))
    return sign_entry(client.signer, entry, salt=salt, body=body, request_id=None)


async def test_a_peers_own_two_histories_are_none_of_ours_and_nothing_of_them_is_kept() -> None:
    async with table() as world:
        await world.agree()
        before = await positions(world.provider)
        with pytest.raises(PeerError):
            await of(world.provider).adopt(world.client.key, await two_of_one_place(world))
        assert await positions(world.provider) == before
