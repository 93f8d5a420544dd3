"""Twin of v2xnode/trading/recollection.py: what a peer that shows us things can't bring about."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import pytest

from ledger.entry import Entry, EntryType, SignedEntry, commit, sign_entry
from ledger.errors import Full
from ledger.keys.bodies import Genesis, encode_key
from ledger.signing import Signer
from ledger.store.transaction import Transaction
from market.terms import Means, Pay, Shown
from tests.ledger.world import Chain
from tests.support.node_books import CLOCK, Party, Table, table
from v2xnode.envelope import body_of
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.trading import recollection
from v2xnode.trading.books import Books, LedgerRefused
from v2xnode.trading.recollection import Recollection, shown

T = TypeVar("T")


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


async def epoch_of(party: Party) -> bytes:
    return await party.books.run(lambda tx: tx.keys_of(tx.node).live)


async def test_a_claim_begins_an_epoch_and_no_other_one_does_that_day() -> None:
    async with table() as world:
        chains, epochs = of(world.client), [await epoch_of(world.client)]
        for peer in (world.provider.key, bytes(32)):
            await chains.claimed(peer)
            epochs.append(await epoch_of(world.client))
        assert epochs[0] != epochs[1] == epochs[2]


async def test_a_claim_that_a_full_disk_kept_from_beginning_an_epoch_leaves_that_to_the_next() -> None:
    async with table() as world:
        before = await epoch_of(world.client)
        chains = Recollection(Books(FullOnce(world.client.books), CLOCK), CLOCK, EventLog(CLOCK))
        with pytest.raises(LedgerRefused):
            await chains.claimed(world.provider.key)
        assert await epoch_of(world.client) == before
        await chains.claimed(world.provider.key)
        assert await epoch_of(world.client) != before


class FullOnce:
    """A writer for which there is no room at first."""

    def __init__(self, books: Books) -> None:
        self._writer = books._writer
        self._is_full = True

    def submit(self, fn: Callable[[Transaction], T]) -> "Future[T]":
        if self._is_full:
            self._is_full = False
            raise Full("no room")
        return self._writer.submit(fn)


def chain(number: int, keys: int) -> tuple[bytes, list[SignedEntry]]:
    """KEY entries of a node that nobody ever traded with."""
    signer = Signer(number.to_bytes(32, "big"))
    made = Chain(signer, number.to_bytes(8, "big"))
    for at in range(1, keys):
        epoch, body = bytes([at]) * 8, encode_key(Genesis(signer.public))
        entry = Entry(1, signer.public, epoch, 0, bytes(32), EntryType.KEY, b"", commit(bytes(16), body))
        made.entries.append(sign_entry(signer, entry, salt=bytes(16), body=body, request_id=None))
    return signer.public, made.entries


async def test_keys_of_nodes_that_never_traded_do_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recollection, "MAX_STRANGERS_KEYS", 4)
    async with table() as world:
        memory = of(world.provider)
        for number in range(1, 4):
            node, keys = chain(number, 1)
            await memory.learn(node, node, [shown(each) for each in keys])
        before = await positions(world.provider)
        node, keys = chain(9, 1)
        with pytest.raises(PeerError) as refused:
            await memory.learn(node, node, [shown(each) for each in keys])
        assert refused.value.code == "too_large"
        assert await positions(world.provider) == before


async def test_one_stranger_has_a_few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recollection, "MAX_STRANGER_KEYS", 3)
    async with table() as world:
        for number, is_kept in ((3, True), (4, False)):
            node, keys = chain(number, number)
            learnt = of(world.provider).learn(node, node, [shown(each) for each in keys])
            if is_kept:
                assert (await learnt).current == node
            else:
                with pytest.raises(PeerError):
                    await learnt


async def test_nothing_is_kept_and_taken_back_for_a_peer_that_shows_none_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty thousand of its own would hold the writer for seconds, as often as it likes."""
    async with table() as world:
        await world.agree()
        theirs = await two_of_one_place(world)
        kept: list[object] = []
        monkeypatch.setattr(Transaction, "receive", lambda self, signed, **_: kept.append(signed))
        with pytest.raises(PeerError):
            await of(world.provider).adopt(world.client.key, theirs)
        assert kept == []
