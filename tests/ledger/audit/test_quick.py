"""Twin of ledger/audit/quick.py."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.quick import QuickReport, verify_quickly
from ledger.own.key_changes import open_epoch, rotate
from ledger.signing import Signer
from ledger.store.reader import LedgerReader
from tests.support.deals import FIXED, Deal, Side, request_id, sides


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Side]:
    """After three trades, an epoch that ended between them and a key that was rotated."""
    with sides(tmp_path) as (provider, client):
        _trade(provider, client, "first")
        client.ledger.transact(open_epoch)
        _trade(provider, client, "second")
        client.ledger.transact(lambda transaction: rotate(transaction, Signer(bytes(range(32)))))
        yield client


def _trade(provider: Side, client: Side, name: str) -> None:
    Deal(provider, client, replace(FIXED, request_id=request_id(name))).play()


def quickly(side: Side) -> QuickReport:
    with LedgerReader.open(side.path) as reader:
        return verify_quickly(reader)


def own(side: Side) -> int:
    with sqlite3.connect(side.path) as connection:
        rows = connection.execute("SELECT position FROM entry WHERE node = ?", (side.key,)).fetchall()
    connection.close()
    return len(rows)


def alter(side: Side, seq: int, change: Callable[[bytes, bytes, bytes], tuple[bytes, bytes, bytes]]) -> None:
    """Payload, salt and body of our entries of that place, in each epoch."""
    with sqlite3.connect(side.path) as connection:
        here = connection.execute(
            "SELECT position, payload, salt, body FROM entry WHERE node = ? AND seq = ?", (side.key, seq)
        )
        for position, *columns in here.fetchall():
            changed = (*change(*columns), position)
            connection.execute("UPDATE entry SET payload = ?, salt = ?, body = ? WHERE position = ?", changed)
    connection.close()


def test_all_of_our_own_chain_is_walked_over_epochs_and_keys(client: Side) -> None:
    report = quickly(client)
    assert report.ok, report.sentence
    assert (report.entries, report.adopted) == (own(client), 0)
    head = client.ledger.transact(lambda transaction: transaction.head())
    assert head is not None
    assert report.head == head.entry
    assert "not looked at" in report.sentence


def another_body(payload: bytes, salt: bytes, body: bytes) -> tuple[bytes, bytes, bytes]:
    """With the commitment that fits it."""
    return payload[:-32] + hashlib.sha256(salt + b"x" + body).digest(), salt, b"x" + body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda payload, salt, body: (payload, salt, body + b"x"), "bad_commitment"),
        (lambda payload, salt, body: (payload, bytes(16), body), "bad_commitment"),
        (lambda payload, salt, body: (payload[:-1] + bytes([payload[-1] ^ 1]), salt, body), "bad_commitment"),
        (lambda payload, salt, body: (payload[:2], salt, body), "foreign"),
        (lambda payload, salt, body: (payload[:10] + b"x" + payload[11:], salt, body), "foreign"),
        (lambda payload, salt, body: (payload[:45] + b"\x17" + payload[46:], salt, body), "broken_chain"),
        (lambda payload, salt, body: (payload[:60] + b"x" + payload[61:], salt, body), "broken_chain"),
        (another_body, "broken_chain"),
    ],
)
@pytest.mark.parametrize("seq", [1, 3])
def test_what_was_altered_is_found(client: Side, change: Any, code: str, seq: int) -> None:
    alter(client, seq, change)
    report = quickly(client)
    assert report.fault is not None
    assert report.fault.code == code


def test_a_missing_entry_is_named(client: Side) -> None:
    with sqlite3.connect(client.path) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("DELETE FROM entry WHERE node = ? AND seq = 2", (client.key,))
    connection.close()
    report = quickly(client)
    assert report.fault is not None
    assert report.fault.code == "gap"


def test_the_head_has_to_be_signed(client: Side) -> None:
    head = client.ledger.transact(lambda transaction: transaction.head())
    assert head is not None
    with sqlite3.connect(client.path) as connection:
        connection.execute("UPDATE entry SET signature = ? WHERE position = ?", (bytes(64), head.position))
    connection.close()
    report = quickly(client)
    assert report.fault is not None
    assert report.fault.code == "bad_signature"
