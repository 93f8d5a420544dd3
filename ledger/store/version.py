"""Which schema a database has. It says so itself, in `meta`, so that `audit.verify` covers it with the rest."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, inspect, select, update

from ledger import cbor
from ledger.errors import Corrupt, LedgerError, UnknownSchema
from ledger.store import schema

EMPTY: Final = 0
"""The version of a database without tables."""


def version_of(connection: Connection) -> int:
    """The database's schema, from `EMPTY` to `SCHEMA_VERSION`.

    Raises UnknownSchema for a newer one, or tables that are not a ledger's; Corrupt when it can't be read.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return EMPTY
    if schema.meta.name not in tables:
        raise UnknownSchema("the database holds other tables than a ledger's")
    version = _recorded(connection)
    if version > schema.SCHEMA_VERSION:
        raise UnknownSchema(
            f"the database has schema {version} and this software knows {schema.SCHEMA_VERSION}: install a newer one"
        )
    return version


def record_version(connection: Connection, version: int) -> None:
    """The database's tables are those of `version` from here on."""
    row = update(schema.meta).where(schema.meta.c.name == schema.META_SCHEMA)
    connection.execute(row.values(value=cbor.encode(version)))
    if connection.dialect.name == "sqlite":
        # the only place where software that knows no other schema than 1 looks
        connection.exec_driver_sql(f"PRAGMA user_version={version:d}")


def _recorded(connection: Connection) -> int:
    query = select(schema.meta.c.value).where(schema.meta.c.name == schema.META_SCHEMA)
    try:
        version = cbor.decode(connection.execute(query).scalar() or b"")
    except (LedgerError, TypeError) as error:
        raise Corrupt("the database does not say which schema it has; run verify") from error
    if type(version) is not int or version <= EMPTY:
        raise Corrupt("the database does not say which schema it has; run verify")
    return version
