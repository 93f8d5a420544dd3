"""The one thread that writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.errors import Closed, Full, StoreFailed
from ledger.reader import LedgerReader
from ledger.writer import Writer
from tests.ledger.world import REQUEST, open_ledger


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    with Writer(lambda: open_ledger(path), max_waiting=20) as opened:
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
    with pytest.raises(StoreFailed), Writer(lambda: open_ledger(tmp_path / "absent" / "ledger.sqlite")):
        pass
    assert threading.active_count() == before


def test_it_starts_once(writer: Writer) -> None:
    with pytest.raises(Closed):
        writer.start()
