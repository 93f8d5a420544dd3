"""Whatever is changed in a covered table, verify names the table and the row."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger.accounts import Posting, State
from ledger.audit.verify import Report, verify
from ledger.entry import EntryType
from ledger.signing import AAD_ENTRY, sign1
from ledger.store import schema
from ledger.store.history import PostingRule
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry
from tests.ledger.hands import asked
from tests.ledger.world import CLIENT, PROVIDER, REQUEST, Chain, keep, offer, open_ledger, pair, rule, trade

COVERED = (schema.meta, schema.message, schema.entry, schema.posting)
OTHER_REQUEST = bytes([3]) * 16


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two trades and entries of every kind of origin."""
    path = tmp_path_factory.mktemp("sound") / "ledger.store.sqlite"
    with open_ledger(path) as ledger:
        trade(ledger, intervals=1)
        ledger.transact(lambda tx: tx.append(EntryType.NET, b"own affair"))
        keep(ledger, offer(OTHER_REQUEST), OTHER_REQUEST)
        accept = offer(OTHER_REQUEST).hash
        ledger.transact(lambda tx: tx.append(EntryType.ACCEPT, b"", answers=accept, request_id=OTHER_REQUEST))
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path))


def audit(path: Path) -> Report:
    with LedgerReader.open(path) as reader:
        return verify(reader, rule)


def change(path: Path, *statements: str, values: Sequence[object] = ()) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA synchronous=OFF")
        for statement in statements:
            driver.execute(statement, values)


def found(path: Path) -> tuple[str, int, str]:
    fault = audit(path).fault
    assert fault is not None
    return fault.table, fault.position, fault.code


def columns(table: Any) -> list[str]:
    return [column.name for column in table.c]


def rows(path: Path, table: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(path)) as driver:
        driver.row_factory = sqlite3.Row
        return driver.execute(f"SELECT * FROM {table} ORDER BY position").fetchall()  # noqa: S608


def changes_of(column: str, value: Any) -> Iterator[object]:
    """Plausible other values of the same type, and not what the rules would write."""
    if isinstance(value, bytes):
        yield bytes([value[0] ^ 1]) + value[1:] if value else b"\x00"
        yield value[:-1] if value else bytes(16)
    elif isinstance(value, int):
        yield from (-value - 1, value + (1_000 if column == "position" else 1))
    elif isinstance(value, str):
        yield "" if value != "posted" else "void"
    elif value is None:
        yield bytes(16)


def test_a_sound_ledger_holds(path: Path) -> None:
    report = audit(path)
    assert report.ok, report.sentence
    assert report.entries == len(rows(path, "entry")) == 10
    assert (report.messages, report.postings) == (2, 6)
    assert report.head is not None
    assert report.head.node == CLIENT.public
    assert report.head.hash == rows(path, "entry")[-1]["hash"]
    assert "cut off" in report.sentence


@pytest.mark.parametrize("other", ["signature", "body", "payload", "arrival", "request_id"])
def test_of_two_changes_the_first_row_is_named(path: Path, other: str) -> None:
    """Signatures are checked beside the rest, and told in their place."""
    for first, second in (("signature", other), (other, "signature")):
        change(path, f"UPDATE entry SET {first} = zeroblob(16) WHERE position = 3")  # noqa: S608
        change(path, f"UPDATE entry SET {second} = zeroblob(16) WHERE position = 5")  # noqa: S608
        fault = audit(path).fault
        assert fault is not None
        assert (fault.table, fault.position) == ("entry", 3)


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
def test_any_change_of_any_value_is_named_with_its_row(path: Path, table: Any) -> None:
    without_constraints(path, table.name)
    tried = 0
    for row in rows(path, table.name):
        for column in columns(table):
            for value in changes_of(column, row[column]):
                assert tampered(path, table.name, row["position"], column, value) == (table.name, row["position"])
                tried += 1
    assert tried >= 2 * (len(table.c) - 1)


def tampered(path: Path, table: str, position: int, column: str, value: object) -> tuple[str, int] | None:
    """What is named after one value was changed; the change is taken back."""
    copy = Path(shutil.copy(path, path.with_name("tampered")))
    try:
        set_value(copy, table, position, column, value)
        fault = audit(copy).fault
        assert fault is not None, (table, position, column, value)
        place = position if column == "position" and fault.position == value else fault.position
        return fault.table, place
    finally:
        copy.unlink()


def set_value(path: Path, table: str, position: int, column: str, value: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA synchronous=OFF")  # nothing here has to outlive the test
        driver.execute(f"UPDATE {table} SET {column} = ? WHERE position = ?", (value, position))  # noqa: S608


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
def test_a_missing_row_is_a_gap_where_it_was(path: Path, table: Any) -> None:
    count = len(rows(path, table.name))
    for position in range(1, count):
        copy = Path(shutil.copy(path, path.with_name("shortened")))
        change(copy, f"DELETE FROM {table.name} WHERE position = {position}")  # noqa: S608
        assert found(copy) == (table.name, position, "gap")
        copy.unlink()


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
def test_rows_in_another_order_are_named_at_the_first(path: Path, table: Any) -> None:
    for position in range(1, len(rows(path, table.name))):
        copy = Path(shutil.copy(path, path.with_name("reordered")))
        move = f"UPDATE {table.name} SET position = "  # noqa: S608
        change(
            copy,
            f"{move} -1 WHERE position = {position}",
            f"{move} {position} WHERE position = {position + 1}",
            f"{move} {position + 1} WHERE position = -1",
        )
        assert found(copy)[:2] == (table.name, position)
        copy.unlink()


def without_constraints(path: Path, table: str) -> None:
    """The table as a stranger may make it: no types, no keys, no uniqueness."""
    change(
        path,
        f"CREATE TABLE copy AS SELECT * FROM {table}",  # noqa: S608
        f"DROP TABLE {table}",
        f"ALTER TABLE copy RENAME TO {table}",
    )


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
@pytest.mark.parametrize("value", [None, "text", 1.5, b"bytes", 7], ids=lambda value: type(value).__name__)
def test_values_of_the_wrong_type_are_faults_and_no_crash(path: Path, table: Any, value: object) -> None:
    without_constraints(path, table.name)
    for row in rows(path, table.name)[1:2]:
        for column in columns(table):
            if type(row[column]) is type(value):
                continue
            place = tampered(path, table.name, row["position"], column, value)
            assert place is not None
            assert place[0] == table.name


def test_text_that_is_not_unicode_is_a_fault(path: Path) -> None:
    change(path, "UPDATE posting SET account = CAST(x'ff' AS TEXT) WHERE position = 3")
    assert found(path) == ("posting", 3, "corrupt")


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
def test_a_row_twice_is_named(path: Path, table: Any) -> None:
    without_constraints(path, table.name)
    change(path, f"INSERT INTO {table.name} SELECT * FROM {table.name} WHERE position = 2")  # noqa: S608
    assert found(path) == (table.name, 2, "out_of_order")


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
def test_a_table_or_column_that_is_not_there_is_a_fault(path: Path, table: Any) -> None:
    column = columns(table)[-1]
    without_constraints(path, table.name)
    change(path, f"ALTER TABLE {table.name} RENAME COLUMN {column} TO gone")
    assert found(path) == (table.name, 1, "corrupt")
    change(path, f"DROP TABLE {table.name}")
    assert found(path) == (table.name, 1, "corrupt")


def test_an_emptied_ledger_has_lost_its_genesis(path: Path) -> None:
    change(path, "DELETE FROM posting", "DELETE FROM outbox", "DELETE FROM entry")
    assert found(path) == ("entry", 1, "gap")
    change(path, "DELETE FROM meta")
    assert found(path) == ("meta", 1, "gap")


def test_postings_too_few_and_too_many_are_named(path: Path) -> None:
    last = len(rows(path, "posting"))
    change(path, f"DELETE FROM posting WHERE position = {last}")  # noqa: S608
    assert found(path) == ("posting", last, "gap")
    insert = "INSERT INTO posting SELECT position + 1, entry_hash, line + 40, account, currency, 5, state FROM posting"
    change(path, f"{insert} WHERE position = {last - 1}", f"{insert} WHERE position = {last}")
    assert found(path)[:2] == ("posting", last)


def test_an_entry_signed_again_by_another_key_is_foreign(path: Path) -> None:
    row = rows(path, "entry")[5]
    forged = sign1(PROVIDER if row["node"] == CLIENT.public else CLIENT, row["payload"], AAD_ENTRY)
    set_value(path, "entry", 6, "signature", forged)
    assert found(path) == ("entry", 6, "bad_signature")


def test_a_whole_row_put_in_place_of_another_does_not_fit(path: Path) -> None:
    """Properly signed by its node, with every column right but the running hash."""
    chain = Chain()
    other = chain.make(EntryType.CONFIRM, b"other", answers=rows(path, "entry")[2]["hash"])
    values = (other.hash, other.entry.payload, other.signature, other.salt, other.body)
    columns = "hash = ?, payload = ?, signature = ?, salt = ?, body = ?"
    change(path, f"UPDATE entry SET {columns} WHERE position = 4", values=values)  # noqa: S608
    assert found(path) == ("entry", 4, "column_differs")


def test_another_rule_is_told_from_the_one_that_posted(path: Path) -> None:
    def generous(before: int | None, new: StoredEntry) -> tuple[int, Sequence[Posting]]:
        after, postings = rule(before, new)
        return after, pair(1_501, State.PENDING) if new.type is EntryType.RECEIPT else postings

    with LedgerReader.open(path) as reader:
        report = verify(reader, generous)
    assert report.fault is not None
    assert (report.fault.table, report.fault.position, report.fault.column) == ("posting", 1, "amount_micro")
    assert report.entries == 10


def refusing(before: None, new: StoredEntry) -> tuple[None, Sequence[Posting]]:
    raise ValueError("can't read this")


def lopsided(before: None, new: StoredEntry) -> tuple[None, Sequence[Posting]]:
    return None, [Posting("a", "EUR", 1, State.POSTED)]


@pytest.mark.parametrize("other", [refusing, lopsided])
def test_a_rule_that_refuses_is_a_fault_of_the_entry(path: Path, other: PostingRule) -> None:
    with LedgerReader.open(path) as reader:
        fault = verify(reader, other).fault
    assert fault is not None
    assert (fault.table, fault.position, fault.code) == ("entry", 1, "refused")


def test_another_schema_version_is_a_fault(path: Path) -> None:
    change(path, f"PRAGMA user_version={schema.SCHEMA_VERSION + 1}")
    assert found(path) == ("database", 0, "unknown_schema")


def test_a_damaged_file_is_a_fault_and_no_traceback(path: Path) -> None:
    sound = path.read_bytes()
    for page in range(0, len(sound), 4096):
        data = bytearray(sound)
        data[page : page + 64] = bytes(byte ^ 0x5A for byte in data[page : page + 64])
        path.write_bytes(data)
        assert not audit(path).ok, page


def test_damage_that_sqlite_quotes_in_its_own_message_is_a_fault(path: Path) -> None:
    data = path.read_bytes()
    for quoted in (b"CREATE TABLE meta", b"position INTEGER NOT NULL"):
        path.write_bytes(data.replace(quoted, quoted[:-1] + b"\x83"))
        assert found(path) == ("meta", 1, "corrupt")


def test_a_file_that_was_never_a_ledger_is_a_fault(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"no ledger" * 1000)):
        (tmp_path / name).write_bytes(content)
        assert found(tmp_path / name) == ("meta", 1, "corrupt")


@pytest.mark.parametrize("table", COVERED, ids=lambda table: table.name)
def test_any_change_on_a_server_is_named_with_its_row(url: str, table: Any) -> None:
    with open_ledger(url) as ledger:
        trade(ledger, intervals=1)
    asked(url, f"CREATE TABLE copy AS SELECT * FROM {table.name}")  # noqa: S608
    asked(url, f"DROP TABLE {table.name} CASCADE")
    asked(url, f"ALTER TABLE copy RENAME TO {table.name}")
    with open_ledger(url) as ledger, LedgerReader(ledger._engine, ledger._connection) as reader:
        assert verify(reader, rule).ok
        for row in asked(url, f"SELECT * FROM {table.name} ORDER BY position"):  # noqa: S608
            for column, value in zip(columns(table), row, strict=True):
                for other in changes_of(column, value):
                    assert named(reader, table.name, row[0], column, other) == (table.name, row[0]), (column, other)


def named(reader: LedgerReader, table: str, position: int, column: str, value: object) -> tuple[str, int] | None:
    """As `tampered`, and the change is rolled back."""
    reader.connection.rollback()
    change = text(f"UPDATE {table} SET {column} = :value WHERE position = :position")  # noqa: S608
    reader.connection.execute(change, {"value": value, "position": position})
    fault = verify(reader, rule).fault
    assert fault is not None, (table, position, column, value)
    return fault.table, position if column == "position" and fault.position == value else fault.position


def test_caches_are_not_covered(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.transact(lambda tx: tx.put("limits", b"one"))
        ledger.transact(lambda tx: tx.lock(REQUEST, "energy", 1, 0, 1))
    change(path, "UPDATE document SET value = x'00'", "UPDATE lock SET quantity = 9")
    assert audit(path).ok
