"""Opening a ledger, and transactions as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.errors import Closed, Corrupt, StoreFailed, UnknownSchema, WrongOwner
from ledger.keys.bodies import Genesis, decode_key
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from tests.ledger.hands import Where, asked, count
from tests.ledger.world import CLIENT, PROVIDER, REQUEST, open_ledger, rule, trade


def test_a_new_ledger_begins_with_its_genesis(ledger: Ledger) -> None:
    head = ledger.transact(lambda tx: tx.head())
    assert head is not None
    assert head.own
    assert (head.position, head.entry.seq, head.type) == (1, 0, EntryType.KEY)
    assert head.entry.prev == bytes(32)
    assert head.entry.node == CLIENT.public == ledger.node
    assert decode_key(head.body) == Genesis(CLIENT.public)


def test_epochs_are_random(tmp_path: Path) -> None:
    epochs = set()
    for name in ("one", "two"):
        with Ledger.open(tmp_path / name, CLIENT, posting_rule=rule) as ledger:
            newest = ledger.transact(lambda tx: tx.newest_of(CLIENT.public))
            assert newest is not None
            epochs.add(newest[0])
    assert len(epochs) == 2


def test_opened_again_it_goes_on_where_it_was(where: Where) -> None:
    with open_ledger(where) as first:
        trade(first)
        before = first.transact(lambda tx: tx.head())
    with open_ledger(where) as second:
        assert second.transact(lambda tx: tx.head()) == before
        assert before is not None
        after = second.transact(lambda tx: tx.append(EntryType.NET, b""))
        assert after.entry.prev == before.hash
        assert after.entry.seq == before.entry.seq + 1


def test_an_error_leaves_nothing_of_a_transaction(ledger: Ledger, where: Where) -> None:
    def all_and_fail(tx: Transaction) -> None:
        signed = tx.append(EntryType.INTERVAL, b"", request_id=REQUEST)
        tx.outbox_add(PROVIDER.public, signed)
        tx.lock(REQUEST, "connector", 1, 0, 1)
        tx.put("limits", b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.transact(all_and_fail)
    assert [count(where, table) for table in ("entry", "outbox", "lock", "document", "posting")] == [1, 0, 0, 0, 0]
    assert ledger.transact(lambda tx: tx.append(EntryType.NET, b"")).entry.seq == 1


def test_what_is_written_is_there_for_others_when_transact_returns(ledger: Ledger, where: Where) -> None:
    ledger.transact(lambda tx: tx.append(EntryType.NET, b""))
    assert count(where, "entry") == 2


def test_a_transaction_is_of_no_use_afterwards(ledger: Ledger) -> None:
    kept = ledger.transact(lambda tx: tx)
    with pytest.raises(Closed):
        kept.head()
    with pytest.raises(Closed):
        kept.put("a", b"")
    ledger.transact(lambda tx: tx.put("a", b""))


def test_transactions_do_not_nest(ledger: Ledger) -> None:
    with pytest.raises(StoreFailed):
        ledger.transact(lambda tx: ledger.transact(lambda inner: None))
    ledger.transact(lambda tx: tx.put("a", b""))


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(Closed):
        ledger.transact(lambda tx: None)


def test_it_opens_for_its_own_key_only(where: Where) -> None:
    open_ledger(where).close()
    with pytest.raises(WrongOwner):
        open_ledger(where, PROVIDER)


def test_a_newer_schema_is_left_alone(where: Where) -> None:
    open_ledger(where).close()
    asked(where, "UPDATE meta SET value = ? WHERE name = 'schema'", b"\x18\x63")
    with pytest.raises(UnknownSchema):
        open_ledger(where)


@pytest.mark.parametrize(("column", "value"), [("signature", bytes(64)), ("payload", b"\x00")])
def test_it_does_not_sign_on_a_head_that_does_not_hold(where: Where, column: str, value: bytes) -> None:
    open_ledger(where).close()
    asked(where, f"UPDATE entry SET {column} = ?", value)  # noqa: S608
    with pytest.raises(Corrupt):
        open_ledger(where)


def test_a_file_that_is_no_database_is_a_clear_error(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be read as a header of one" * 20)
    with pytest.raises(StoreFailed):
        open_ledger(path)
