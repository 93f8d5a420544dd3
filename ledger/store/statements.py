"""Statements that are compiled once. SQLAlchemy builds, hashes and looks up a statement for each execution, which costs
ten times what SQLite needs to run it; here it only writes the SQL of each dialect, and the driver does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import CompoundSelect, Connection, Delete, Dialect, Insert, Select, Table, Update, insert

from ledger.store.database import DATABASE_ERRORS, store_failed

Statement: TypeAlias = Select[Any] | CompoundSelect[Any] | Insert | Update | Delete
Values: TypeAlias = Mapping[str, object]
AnyTuple: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = list[object] | Values

_CURSOR: Final = "ledger.cursor"


class Prepared:
    """One statement. Its values are named by `bindparam`, or by the columns of an `insert`.

    Values go to the driver as they are, and rows come back as it gives them: no type of SQLAlchemy's is asked.
    """

    def __init__(self, statement: Statement, *, columns: Sequence[str] | None = None) -> None:
        self._statement: Final = statement
        self._columns: Final = columns
        self._compiled: dict[str, _Sql] = {}

    def run(self, connection: Connection, values: Values) -> Sequence[AnyTuple]:
        """Its rows; none of a statement that writes. Raises StoreFailed."""
        sql = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        try:
            cursor = _cursor_of(connection)
            cursor.execute(sql.text, sql.parameters(values))
            return cursor.fetchall() if self._statement.is_select else ()
        except (*DATABASE_ERRORS, connection.dialect.loaded_dbapi.Error) as error:
            raise store_failed(error) from error

    def _compile(self, dialect: Dialect) -> _Sql:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        order = tuple(compiled.positiontup) if compiled.positional else None
        return self._compiled.setdefault(dialect.name, _Sql(str(compiled), order, constants))


@dataclass(frozen=True, slots=True)
class _Sql:
    """In one dialect. order: of the values, where it counts them; constants: what stands in the statement already."""

    text: str
    order: tuple[str, ...] | None
    constants: Values

    def parameters(self, values: Values) -> Parameters:
        if self.constants:
            values = {**self.constants, **values}
        return values if self.order is None else [values[name] for name in self.order]


def command(connection: Connection, sql: str) -> None:
    """Run what all databases say alike, and what has no values. Raises StoreFailed."""
    try:
        _cursor_of(connection).execute(sql)
    except (*DATABASE_ERRORS, connection.dialect.loaded_dbapi.Error) as error:
        raise store_failed(error) from error


def _cursor_of(connection: Connection) -> Any:
    """One for as long as the connection lives; what it found is always taken at once."""
    info = connection.info
    cursor = info.get(_CURSOR)
    if cursor is None:
        cursor = info[_CURSOR] = connection.connection.cursor()
    return cursor


def insert_into(table: Table) -> Prepared:
    """A row with all columns; or without `id`, which the database counts."""
    return Prepared(insert(table), columns=[column.name for column in table.c if column.name != "id"])
