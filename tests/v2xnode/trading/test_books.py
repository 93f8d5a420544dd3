import sqlite3
import threading
from dataclasses import replace

import pytest

from ledger.entry import commit, sign_entry
from ledger.store.transaction import MAX_OUTBOX
from ledger.store.view import Lock, View
from ledger.witnessing.forks import is_forked
from market.errors import Reason
from market.terms import Accept, Closed, Confirm, Interval, Reject, Void
from tests.support.node_books import REQUEST_ID, Table, table
from v2xnode.envelope import Link, body_of
from v2xnode.errors import PeerError
from v2xnode.trading.books import LedgerRefused, Verdict


async def accepted(world: Table) -> bytes:
    entry = await world.by(world.client, Accept(world.provider.key, 0, "EUR"), world.letters[1].digest)
    return entry.digest


async def test_an_entry_waits_in_the_outbox_until_it_is_answered() -> None:
    async with table() as world:
        accept = await accepted(world)
        assert await world.client.outbox() == [accept]
        verdict = Verdict(Confirm(world.client.key, 0))
        confirm, _ = await world.provider.books.decide(REQUEST_ID, accept, lambda view: verdict)
        assert await world.client.books.receive(confirm)
        assert not await world.client.books.receive(confirm)
        assert await world.client.outbox() == []


async def test_the_answer_to_an_accept_waits_for_nobody() -> None:
    async with table() as world:
        accept = await accepted(world)
        await world.provider.books.decide(
            REQUEST_ID, accept, lambda view: Verdict(Reject(world.client.key, 0, Reason.BUSY))
        )
        assert await world.provider.outbox() == []


async def test_a_full_outbox_gives_up_its_oldest_and_takes_the_new() -> None:
    async with table() as world:
        confirm = await world.agree()
        first = await world.interval(0, confirm.digest)
        with sqlite3.connect(world.provider.path) as other:  # as if a thousand peers had gone away
            columns = "peer, request_id, entry_hash"
            rows = [(n.to_bytes(32, "big"), REQUEST_ID, first.digest) for n in range(MAX_OUTBOX - 1)]
            other.executemany(f"INSERT INTO outbox ({columns}) VALUES (?, ?, ?)", rows)  # noqa: S608 - no input in it
        other.close()
        newest = await world.by(world.provider, Interval(world.client.key, 1, 2, 0), confirm.digest)
        assert newest.digest in await world.provider.outbox()


async def test_the_end_frees_locks_and_an_answered_end_the_outbox() -> None:
    async with table() as world:
        accept = await accepted(world)
        lock = Lock(REQUEST_ID, "battery_wh", 60, 0, 10)
        await world.provider.books.decide(
            REQUEST_ID, accept, lambda view: Verdict(Confirm(world.client.key, 0), (lock,))
        )
        void = Void(world.client.key, 0, Reason.WITHDRAWN)
        await world.provider.books.append(world.client.key, REQUEST_ID, void, accept)
        await world.provider.books.latch_stop(REQUEST_ID, Reason.WITHDRAWN)
        await world.provider.books.end(REQUEST_ID, answered=False)
        assert await world.provider.books.run(lambda view: list(view.locks())) == []
        assert await world.provider.books.get(f"stopped:{REQUEST_ID.hex()}") is None
        assert len(await world.provider.outbox()) == 1
        await world.provider.books.end(REQUEST_ID, answered=True)
        assert len(await world.provider.outbox()) == 1, "our last word has to be heard"
        await world.provider.books.forget_unsaid(REQUEST_ID)
        assert await world.provider.outbox() == []


async def test_a_void_takes_the_place_of_what_was_said_before() -> None:
    async with table() as world:
        said = Accept(world.provider.key, 0, "EUR")
        lock = Lock(REQUEST_ID, "buying", 60, 0, 10)
        offered = world.letters[1].digest
        append = world.client.books.append
        await append(world.provider.key, REQUEST_ID, said, offered, letters=world.letters, locks=[lock])
        assert await world.client.books.run(lambda view: list(view.locks())) == [lock]
        void = Void(world.provider.key, 0, Reason.WITHDRAWN)
        entry = await append(world.provider.key, REQUEST_ID, void, offered, unlock=True)
        assert await world.client.books.run(lambda view: list(view.locks())) == []
        assert await world.client.outbox() == [entry.digest]


async def test_a_decision_and_its_locks_are_one_commit() -> None:
    async with table() as world:
        accept = await accepted(world)
        lock = Lock(REQUEST_ID, "battery_wh", 60, 10, 10)  # ends as it begins: refused
        with pytest.raises(LedgerRefused):
            await world.provider.books.decide(
                REQUEST_ID, accept, lambda view: Verdict(Confirm(world.client.key, 0), (lock,))
            )
        assert await world.provider.entries() == 1
        assert await world.provider.books.run(lambda view: list(view.locks())) == []


async def test_the_check_of_a_decision_runs_where_it_may_only_read() -> None:
    async with table() as world:
        accept = await accepted(world)
        ran: list[str] = []

        def check(view: View) -> Verdict:
            ran.append(threading.current_thread().name)
            return Verdict(Confirm(world.client.key, 0))

        await world.provider.books.decide(REQUEST_ID, accept, check)
        assert ran[0] != threading.current_thread().name


async def test_all_that_answers_an_entry_is_repeated() -> None:
    async with table() as world:
        accept = await accepted(world)
        confirm, _ = await world.provider.books.decide(
            REQUEST_ID, accept, lambda view: Verdict(Confirm(world.client.key, 0))
        )
        void = await world.provider.books.append(
            world.client.key, REQUEST_ID, Void(world.client.key, 0, Reason.WITHDRAWN), accept
        )
        replies = await world.provider.books.reply_to(accept, REQUEST_ID)
        assert [each.digest for each in replies] == [confirm.digest, void.digest]
        assert await world.provider.books.reply_to(bytes(32), REQUEST_ID) == []


async def test_a_peers_fault_and_our_own_are_told_apart() -> None:
    async with table() as world:
        ours = Closed(world.client.key, 0, 0, 0, ())
        with pytest.raises(LedgerRefused):
            await world.provider.books.append(world.client.key, REQUEST_ID, ours, b"")
        accept = await world.client.books.append(
            world.provider.key,
            REQUEST_ID,
            Accept(world.provider.key, 0, "EUR"),
            world.letters[1].digest,
            letters=world.letters,
        )
        with pytest.raises(PeerError):  # what it answers is not held here
            await world.provider.books.receive(accept)
        await world.provider.books.receive(accept, letters=world.letters)


async def test_a_second_entry_for_one_place_is_refused_and_the_proof_is_kept_for_ever() -> None:
    async with table() as world:
        confirm = await world.agree()
        interval = await world.interval(0, confirm.digest)
        entry, signed = interval.signed.entry, interval.signed
        body = body_of(Interval(world.client.key, 0, 1, 77))[1]
        other = replace(entry, body_commitment=commit(signed.salt, body))
        forged = sign_entry(
            world.provider.identity.signer, other, salt=signed.salt, body=body, request_id=signed.request_id
        )
        with pytest.raises(PeerError) as refused:
            await world.client.books.receive(Link(Interval(world.client.key, 0, 1, 77), forged))
        assert refused.value.code == "fork"
        assert await world.client.books.run(lambda transaction: is_forked(transaction, world.provider.key))
        assert not await world.client.books.run(lambda transaction: is_forked(transaction, world.client.key))
        assert await world.client.books.run(lambda transaction: transaction.entry(forged.hash)) is None
