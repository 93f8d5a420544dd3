"""The one thread that writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.errors import Closed, Full, StoreFailed
from ledger.store import writer as module
from ledger.store.reader import LedgerReader
from ledger.store.statements import command
from ledger.store.transaction import Transaction
from ledger.store.writer import Writer
from tests.ledger.hands import Where, count
from tests.ledger.world import REQUEST, Chain, open_ledger
from tests.support.postgres import end_writer

Step = Callable[[Transaction], object]


@pytest.fixture
def writer(where: Where) -> Iterator[Writer]:
    with Writer(lambda: open_ledger(where), max_waiting=20) as opened:
        yield opened


async def test_transactions_run_in_order_in_a_thread_of_their_own(writer: Writer) -> None:
    ran: list[tuple[int, int]] = []
    futures = [
        writer.submit(lambda tx, n=n: ran.append((n, threading.get_ident())))  # type: ignore[misc]
        for n in range(20)
    ]
    await asyncio.gather(*map(asyncio.wrap_future, futures))
    assert [number for number, _ in ran] == list(range(20))
    assert len({thread for _, thread in ran}) == 1
    assert threading.get_ident() not in {thread for _, thread in ran}


def test_entries_chain_in_the_order_of_submission(writer: Writer) -> None:
    futures = [
        writer.submit(lambda tx, n=n: tx.append(EntryType.INTERVAL, b"%d" % n, request_id=REQUEST))  # type: ignore[misc]
        for n in range(5)
    ]
    entries = [future.result() for future in futures]
    assert [signed.body for signed in entries] == [b"0", b"1", b"2", b"3", b"4"]
    assert [signed.entry.seq for signed in entries] == [1, 2, 3, 4, 5]


def test_an_error_reaches_the_caller_and_the_next_one_runs(writer: Writer) -> None:
    failed = writer.submit(lambda tx: tx.append(EntryType.INTERVAL, b"", request_id=b"short"))
    head = writer.submit(lambda tx: tx.head())
    assert failed.exception() is not None
    stored = head.result()
    assert stored is not None
    assert stored.entry.seq == 0


def test_more_than_the_bound_is_refused_at_once_and_nothing_is_lost(writer: Writer) -> None:
    gate = threading.Event()
    waiting = [writer.submit(lambda tx: gate.wait()) for _ in range(20)]
    with pytest.raises(Full):
        writer.submit(lambda tx: True)
    gate.set()
    assert all(future.result() for future in waiting)
    assert writer.submit(lambda tx: "room again").result() == "room again"


def test_what_is_cancelled_before_it_ran_gives_its_place_back(writer: Writer) -> None:
    gate = threading.Event()
    first = writer.submit(lambda tx: gate.wait())
    ran: list[int] = []
    rest = [writer.submit(lambda tx: ran.append(1)) for _ in range(19)]
    assert all(future.cancel() for future in rest)
    after = writer.submit(lambda tx: "after")
    gate.set()
    assert first.result()
    assert after.result() == "after"
    assert ran == []


def together(writer: Writer, *fns: Step) -> list[Future[object]]:
    """Submitted while the thread is busy, so that they share a commit."""
    gate = threading.Event()
    writer.submit(lambda tx: gate.wait())
    futures = [writer.submit(fn) for fn in fns]
    gate.set()
    return futures


def test_what_waits_shares_a_commit_and_is_answered_when_that_has_returned(writer: Writer, where: Where) -> None:
    heard: list[int] = []
    futures = together(writer, *[lambda tx: tx.append(EntryType.NET, b"")] * 5)
    futures[0].add_done_callback(lambda _: heard.append(count(where, "entry")))
    futures[-1].result()
    assert heard == [1 + 5]


def test_one_that_fails_among_others_rolls_back_alone(writer: Writer) -> None:
    def half(tx: Transaction) -> None:
        tx.append(EntryType.NET, b"half")
        tx.put("limits", b"half")
        raise KeyError("not this one")

    def fork(tx: Transaction) -> None:
        tx.receive(Chain().make(EntryType.INTERVAL, b"bad"))

    def net(body: bytes) -> Step:
        return lambda tx: tx.append(EntryType.NET, body)

    futures = together(writer, net(b"one"), half, net(b"two"), fork, net(b"three"))
    errors = [type(future.exception()) for future in futures]
    assert errors == [type(None), KeyError, type(None), ValueError, type(None)]
    assert [stored.body for stored in writer.submit(lambda tx: tx.page()).result()][1:] == [b"one", b"two", b"three"]
    assert writer.submit(lambda tx: tx.get("limits")).result() is None


def test_where_the_database_fails_nothing_of_any_is_kept(writer: Writer) -> None:
    """A statement that fails takes back its own transaction; a database that has taken back all of them, all."""

    def unheld(tx: Transaction) -> None:
        tx.outbox_add(bytes(32), Chain().entries[0])

    def undone(tx: Transaction) -> None:
        command(tx._connection, "ROLLBACK")
        unheld(tx)

    first, failed, second = together(writer, lambda tx: tx.put("a", b""), unheld, lambda tx: tx.put("b", b""))
    assert [type(each.exception()) for each in (first, failed, second)] == [type(None), StoreFailed, type(None)]
    futures = together(writer, lambda tx: tx.put("c", b""), undone, lambda tx: tx.put("d", b""))
    assert {type(each.exception()) for each in futures} == {StoreFailed}
    names = [writer.submit(lambda tx, name=name: tx.get(name)).result() for name in "abcd"]  # type: ignore[misc]
    assert names == [b"", b"", None, None]


def test_more_than_fit_into_one_commit_wait_for_the_next(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOGETHER", 2)
    futures = together(writer, *[lambda tx: tx.append(EntryType.NET, b"")] * 7)
    assert [future.result().entry.seq for future in futures] == list(range(1, 8))  # type: ignore[attr-defined]


def test_leaving_finishes_what_waits_and_closes(path: Path) -> None:
    with Writer(lambda: open_ledger(path)) as writer:
        futures = [writer.submit(lambda tx: tx.append(EntryType.NET, b"")) for _ in range(10)]
    assert all(future.done() for future in futures)
    with pytest.raises(Closed):
        writer.submit(lambda tx: None)
    writer.close()
    with LedgerReader.open(path) as reader:
        head = reader.head()
    assert head is not None
    assert head.entry.seq == 10


def test_an_opening_that_fails_is_raised_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(StoreFailed), Writer(lambda: open_ledger(tmp_path / "absent" / "ledger.store.sqlite")):
        pass
    assert threading.active_count() == before


def test_that_its_server_is_gone_is_told_once_and_for_all(url: str) -> None:
    with Writer(lambda: open_ledger(url)) as writer:
        assert not writer.lost.cancel()
        end_writer(url)
        for _ in range(2):
            with pytest.raises(StoreFailed):
                writer.submit(lambda tx: tx.put("a", b"")).result()
        assert isinstance(writer.lost.exception(timeout=10), StoreFailed)


def test_what_fails_otherwise_does_not_lose_it(writer: Writer) -> None:
    assert writer.submit(lambda tx: tx.outbox_add(bytes(32), Chain().entries[0])).exception() is not None
    writer.submit(lambda tx: tx.put("a", b"")).result()
    assert not writer.lost.done()


def test_it_starts_once(writer: Writer) -> None:
    with pytest.raises(Closed):
        writer.start()
