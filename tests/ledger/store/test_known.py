"""What the writing connection knows is what the database says, whatever was done and taken back before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.audit.verify import verify
from ledger.entry import EntryType, SignedEntry
from ledger.errors import LedgerError
from ledger.store import known
from ledger.store.history import Histories
from ledger.store.known import Known
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from tests.ledger.world import REQUEST, Chain, offer, open_ledger, rule

Step = Callable[[Transaction], object]


def steps(chain: Chain) -> dict[str, Step]:
    """What a transaction may do; some of it is refused the second time, or in the wrong order."""
    message = offer()
    first = chain.entries[0]
    interval = chain.add(EntryType.INTERVAL, b"one")
    later = chain.add(EntryType.INTERVAL, b"two")
    return {
        "own": lambda tx: tx.append(EntryType.INTERVAL, b"own", request_id=REQUEST),
        "receipt": lambda tx: tx.append(EntryType.RECEIPT, b"", answers=interval.hash, request_id=REQUEST),
        "bad": lambda tx: tx.append(EntryType.INTERVAL, b"bad", request_id=REQUEST),
        "message": lambda tx: tx.keep_message(
            message.kind, message.signer, message.payload, message.signature, REQUEST
        ),
        "first": lambda tx: tx.receive(first),
        "interval": lambda tx: tx.receive(interval),
        "later": lambda tx: tx.receive(later),
        "fork": lambda tx: tx.receive(_other()),
        "stop": _stop,
    }


def _other() -> SignedEntry:
    return Chain().make(EntryType.INTERVAL, b"another")


def _stop(tx: Transaction) -> None:
    raise ValueError("all back")


NAMES = sorted(steps(Chain()))
WORK = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5), min_size=1, max_size=6)


@given(WORK, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_ledger_that_remembers_writes_what_one_writes_that_asks(work: list[list[str]], caught: bool) -> None:
    """caught: a refusal does not end the transaction."""
    with tempfile.TemporaryDirectory() as directory:
        pages = []
        for name, forgets in (("remembers", False), ("asks", True)):
            path = Path(directory) / name
            with open_ledger(path) as ledger:
                _do(ledger, work, caught=caught, forgets=forgets)
            with LedgerReader.open(path) as reader:
                assert verify(reader, rule).ok
                pages.append((reader.page(limit=1_000), reader.messages(REQUEST), reader.balances()))
        assert pages[0] == pages[1]


def _do(ledger: Ledger, work: list[list[str]], *, caught: bool, forgets: bool) -> None:
    known_steps = steps(Chain())

    def run(tx: Transaction, names: list[str]) -> None:
        for name in names:
            if forgets:
                tx._known.forget()
            try:
                known_steps[name](tx)
            except (LedgerError, ValueError):
                if not caught or name == "stop":
                    raise

    for names in work:
        try:
            ledger.transact(lambda tx, names=names: run(tx, names))  # type: ignore[misc]
        except (LedgerError, ValueError):
            continue


def test_what_was_pushed_out_is_asked_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_HASHES", 1)
    monkeypatch.setattr(known, "MAX_CHAINS", 1)
    todo = steps(Chain())
    with open_ledger(path) as ledger:
        for name in ("first", "own", "interval", "own", "receipt", "later"):
            ledger.transact(todo[name])
    with LedgerReader.open(path) as reader:
        assert verify(reader, rule).ok


def test_nothing_is_known_after_it_was_forgotten() -> None:
    memory = Known(Histories(rule))
    memory.trades.put(b"hash", (REQUEST,))
    memory.forget()
    assert memory == Known(memory.histories, memory.keys, trades=memory.trades, newest=memory.newest)
    assert memory.trades.get(b"hash") is None
