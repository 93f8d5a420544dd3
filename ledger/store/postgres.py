"""A ledger on PostgreSQL, for a coordinator: one schema, or one database, for each node.

The URL is libpq's (`postgresql://host/name?options=-csearch_path%3Dnode_a`), so that all that it knows works here
too: sockets, certificates, a service file, a password file. The ledger is in the first schema of the search path.
psycopg is imported only here, and only when used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from ledger.errors import LedgerHeld, NotDurable, StoreFailed
from ledger.store.copies import MAX_COPIES, name_of_copy

if TYPE_CHECKING:
    import psycopg

SCHEME: Final = "postgresql://"

LOCK_WAIT_MS: Final = 2_000
"""A server needs a moment to notice that the process before was killed."""

CONNECT_TIMEOUT_S: Final = 10
SILENCE_S: Final = 10
"""Between the signs of life of an idle connection; three that are missing end it, on both sides: a node whose machine
lost power holds its ledger no longer than that."""

_LOCK_CLASS: Final = int.from_bytes(b"v2x\0") << 32  # above the schema's oid, which has 32 bits
_KEEPALIVE: Final = (("idle", SILENCE_S), ("interval", SILENCE_S), ("count", 3))
_PLACE: Final = "SELECT oid FROM pg_namespace WHERE nspname = current_schema()"
_UNLOGGED: Final = f"SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relnamespace = ({_PLACE})"  # noqa: S608
_DURABLE: Final = (("synchronous_commit", ("on", "remote_apply")), ("fsync", ("on",)), ("full_page_writes", ("on",)))


@dataclass(frozen=True, slots=True)
class Postgres:
    """See `database.Database`."""

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(SCHEME):
            raise StoreFailed(f"a ledger's URL begins with {SCHEME}")

    def for_writing(self) -> Engine:
        """Its connection is never made again by itself: another process may have taken the ledger meanwhile."""
        return _engine(_once(lambda: _connect(self.url, _take)))

    def for_migration(self) -> Engine:
        """References stay watched: PostgreSQL changes a table in place."""
        return self.for_writing()

    def for_reading(self) -> Engine:
        """REPEATABLE READ, READ ONLY."""
        return _engine(lambda: _connect(self.url, _only_read))

    def keep_copy(self, connection: Connection, version: int) -> None:
        """In a schema of its own beside the ledger's, in the migration's own transaction."""
        source = _schema_of(connection)
        copy = name_of_copy(source, version).lower()
        quote = connection.dialect.identifier_preparer.quote
        connection.exec_driver_sql(f"CREATE SCHEMA {quote(copy)}")
        for table in _tables_of(connection, source):
            names = f"{quote(copy)}.{quote(table)} AS TABLE {quote(source)}.{quote(table)}"
            connection.exec_driver_sql(f"CREATE TABLE {names}")
        for older in _copies_of(connection, source)[:-MAX_COPIES]:
            connection.exec_driver_sql(f"DROP SCHEMA {quote(older)} CASCADE")

    def check_migrated(self, connection: Connection) -> None:
        """Nothing: the server watched."""


def assure_durable(driver: psycopg.Connection[Any]) -> None:
    """Demand that a commit is on the server's disk when it returns. Raises NotDurable.

    Else a power cut at the server could take back what peers already hold (see `sqlite.assure_durable`).
    """
    if _setting(driver, "synchronous_commit") != "remote_apply":
        driver.execute("SET synchronous_commit TO on")
    for name, wanted in _DURABLE:
        if (got := _setting(driver, name)) not in wanted:
            raise NotDurable(f"PostgreSQL keeps {name} at {got!r} where {wanted[0]!r} is needed")
    if (table := driver.execute(_UNLOGGED).fetchone()) is not None:
        raise NotDurable(f"the table {table[0]} is UNLOGGED: PostgreSQL empties it after a crash")


def _setting(driver: psycopg.Connection[Any], name: str) -> str:
    row = driver.execute(f"SHOW {name}").fetchone()
    return "" if row is None else str(row[0])


def _take(driver: psycopg.Connection[Any]) -> None:
    """Be the only one that writes to this ledger, as long as the connection lives. Raises LedgerHeld."""
    from psycopg.errors import LockNotAvailable

    assure_durable(driver)
    for name, value in _KEEPALIVE:
        driver.execute(f"SET tcp_keepalives_{name} TO {value}")
    oid = driver.execute(_PLACE).fetchone()
    if oid is None:
        raise StoreFailed("the schema that the ledger's URL names does not exist; create it first")
    driver.execute(f"SET lock_timeout TO {LOCK_WAIT_MS}")
    try:
        driver.execute("SELECT pg_advisory_lock(%s)", (_LOCK_CLASS | int(oid[0]),))
    except LockNotAvailable as error:
        raise LedgerHeld("another process writes to this ledger; stop it first") from error


def _only_read(driver: psycopg.Connection[Any]) -> None:
    from psycopg import IsolationLevel

    driver.isolation_level = IsolationLevel.REPEATABLE_READ
    driver.read_only = True


def _connect(url: str, prepare: Callable[[psycopg.Connection[Any]], None]) -> psycopg.Connection[Any]:
    import psycopg

    driver = psycopg.connect(_conninfo(url), autocommit=True)
    try:
        prepare(driver)
        driver.autocommit = False
    except BaseException:
        driver.close()
        raise
    return driver


def _conninfo(url: str) -> str:
    """Raises StoreFailed for a malformed URL without quoting it: a password may stand in it."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    ours: dict[str, str | int] = {f"keepalives_{name}": value for name, value in _KEEPALIVE}
    ours |= {"connect_timeout": CONNECT_TIMEOUT_S, "client_encoding": "utf8", "application_name": "v2xnode"}
    try:
        return make_conninfo(url, **ours)
    except ProgrammingError:
        raise StoreFailed("the ledger's URL can't be read") from None


def _once(connect: Callable[[], psycopg.Connection[Any]]) -> Callable[[], psycopg.Connection[Any]]:
    made = False

    def connect_once() -> psycopg.Connection[Any]:
        nonlocal made
        if made:
            raise StoreFailed("the connection to the ledger's database was lost; start again")
        made = True
        return connect()

    return connect_once


def _engine(connect: Callable[[], psycopg.Connection[Any]]) -> Engine:
    try:
        return create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool, use_native_hstore=False)
    except ModuleNotFoundError as error:
        raise StoreFailed("a ledger on PostgreSQL needs v2xnode[postgres]") from error


def _schema_of(connection: Connection) -> str:
    return str(connection.exec_driver_sql("SELECT current_schema()").scalar())


def _tables_of(connection: Connection, source: str) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    return [str(name) for (name,) in connection.exec_driver_sql(query, (source,))]


def _copies_of(connection: Connection, source: str) -> list[str]:
    """The oldest first."""
    query = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)"
    found = connection.exec_driver_sql(query, (f"{source}-schema-",))
    return sorted((str(name) for (name,) in found), key=lambda name: name.rpartition("-")[2])
