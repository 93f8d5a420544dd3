"""A real server: settings that its power cut would test, and one writer for each ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.entry import EntryType
from ledger.errors import LedgerHeld, NotDurable, StoreFailed
from ledger.store.database import translated
from ledger.store.ledger import Ledger
from ledger.store.postgres import Postgres, assure_durable
from ledger.store.reader import LedgerReader
from tests.ledger.hands import asked
from tests.ledger.world import open_ledger
from tests.support.postgres import end_writer, place

SECRET = "hunter2"


@pytest.fixture
def on_server(url: str) -> Iterator[Ledger]:
    with open_ledger(url) as opened:
        yield opened


def settings(ledger: Ledger, *names: str) -> list[str]:
    connection = ledger._connection
    with connection.begin():
        return [str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in names]


def test_a_writer_runs_with_the_durable_settings(url: str) -> None:
    with open_ledger(url + "%20-csynchronous_commit%3Doff") as ledger:
        assert settings(ledger, "synchronous_commit", "fsync", "full_page_writes") == ["on", "on", "on"]


def test_what_is_stricter_stays(url: str) -> None:
    with open_ledger(url + "%20-csynchronous_commit%3Dremote_apply") as ledger:
        assert settings(ledger, "synchronous_commit") == ["remote_apply"]


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync", "full_page_writes"])
def test_a_server_that_refuses_them_is_refused(url: str, setting: str) -> None:
    import psycopg

    class Careless(psycopg.Connection[Any]):
        """Says of one setting that it is off, as a server may that somebody wanted to be fast."""

        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            return super().execute("SELECT 'off'" if query == f"SHOW {setting}" else query, *args, **kwargs)

    with Careless.connect(url, autocommit=True) as driver, pytest.raises(NotDurable, match=setting):
        assure_durable(driver)


def test_tables_that_a_crash_would_empty_are_refused(url: str) -> None:
    open_ledger(url).close()
    asked(url, "ALTER TABLE document SET UNLOGGED")
    with pytest.raises(NotDurable, match="document is UNLOGGED"):
        open_ledger(url)


def test_two_processes_never_write_to_one_ledger(on_server: Ledger, url: str) -> None:
    with pytest.raises(LedgerHeld):
        open_ledger(url)
    on_server.transact(lambda tx: tx.append(EntryType.NET, b""))
    on_server.close()
    open_ledger(url).close()


def test_two_ledgers_in_one_database_do_not_mind_each_other(on_server: Ledger) -> None:
    with place() as other, open_ledger(other) as second:
        second.transact(lambda tx: tx.append(EntryType.NET, b""))
    assert len(on_server.transact(lambda tx: tx.page())) == 1


def test_after_a_lost_connection_nothing_is_written_until_it_is_opened_again(on_server: Ledger, url: str) -> None:
    """Another process may have taken the ledger meanwhile."""
    end_writer(url)
    for _ in range(3):
        with pytest.raises(StoreFailed):
            on_server.transact(lambda tx: tx.append(EntryType.NET, b""))
    on_server.close()
    with open_ledger(url) as again:
        assert again.transact(lambda tx: tx.append(EntryType.NET, b"")).entry.seq == 1


def test_a_reader_cannot_write(on_server: Ledger, url: str) -> None:
    with LedgerReader.open(url) as reader, pytest.raises(StoreFailed, match="read-only"), translated():
        reader.connection.exec_driver_sql("CREATE TABLE t (x int)")


def test_without_its_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreFailed, match=r"v2xnode\[postgres\]"):
        open_ledger("postgresql:///ledger")


def test_a_schema_that_is_not_there_is_a_clear_error(url: str) -> None:
    with pytest.raises(StoreFailed, match="does not exist"):
        open_ledger(url + "_else")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://node:{SECRET}@[::1/ledger",
        f"postgresql://node:{SECRET}@127.0.0.1:1/ledger",
        f"postgresql://node:{SECRET}@nowhere.invalid:port/ledger",
        f"postgresql://node:{SECRET}@127.0.0.1/ledger?nonsense=1",
        f"mysql://node:{SECRET}@127.0.0.1/ledger",
    ],
)
def test_a_url_that_leads_nowhere_is_a_clear_error_without_its_password(url: str) -> None:
    with pytest.raises(StoreFailed) as failed:
        open_ledger(url)
    error: BaseException | None = failed.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__
    assert SECRET not in repr(Postgres("postgresql://node:" + SECRET))
