"""A ledger opened to look: show, verify and export work while its node runs, and can't change it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import Connection, Engine, bindparam, select

from ledger.errors import Corrupt, UnknownSchema
from ledger.keys.key_book import KeyBook
from ledger.store import schema
from ledger.store.database import database_at, translated
from ledger.store.statements import Prepared
from ledger.store.version import version_of
from ledger.store.view import View

_OWNER: Final = Prepared(select(schema.meta.c.value).where(schema.meta.c.name == bindparam("name")))


class LedgerReader(View):
    """All answers are of the moment of the first question. Keep it briefly: SQLite's log grows meanwhile."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        super().__init__(connection, b"", KeyBook())
        self._engine = engine

    @classmethod
    def open(cls, where: Path | str) -> LedgerReader:
        """The ledger at a path or a PostgreSQL URL. Raises StoreFailed when there is none, or it can't be read."""
        with translated():
            engine = database_at(where).for_reading()
            connection = engine.connect()
            connection.begin()
            return cls(engine, connection)

    @property
    def node(self) -> bytes:
        """The public key whose ledger this is. Raises Corrupt when the database does not say."""
        if not self._node:
            row = self.first(_OWNER, name=schema.META_NODE)
            if row is None or not isinstance(row[0], bytes):
                raise Corrupt("the database does not say whose ledger it is")
            self._node = row[0]
        return self._node

    def check_schema(self) -> None:
        """Raises UnknownSchema for a database that only its node may bring up to date; Corrupt or StoreFailed."""
        with translated():
            version = version_of(self._connection)
        if version != schema.SCHEMA_VERSION:
            raise UnknownSchema(f"the database has schema {version}: start its node once, which migrates it")

    @property
    def connection(self) -> Connection:
        """For `audit`, which has to see the rows as they are."""
        return self._connection

    def close(self) -> None:
        """Give the file back. Twice is once."""
        with translated():
            self._connection.close()
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
