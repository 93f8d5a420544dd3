"""Rows as they are on the disk, whatever stands in them, and the faults found there. For `audit`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import ColumnClause, Connection, Integer, LargeBinary, Table, Text, column, select, table

from ledger.errors import LedgerError
from ledger.store.database import DATABASE_ERRORS

AnyRow: TypeAlias = Any
"""Of a table, with its columns by name and whatever stands in them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first bad row: `column` is where the contradiction shows, empty when it is the row as a whole."""

    table: str
    position: int
    column: str
    code: str
    sentence: str

    def __str__(self) -> str:
        where = f"row {self.position} of {self.table}" if self.position else self.table
        what = f", {self.column}" if self.column else ""
        return f"{where}{what}: {self.sentence} ({self.code})"


class Found(Exception):
    """Ends an audit; never leaves `audit.verify`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Broken(Exception):
    """What is wrong with the row being looked at, before its place is known."""

    def __init__(self, column: str, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column, self.code, self.sentence = column, code, sentence


def demand(condition: bool, column: str, code: str, sentence: str) -> None:
    """Raises Broken unless `condition`."""
    if not condition:
        raise Broken(column, code, sentence)


def demand_equal(column: str, stored: object, computed: object, origin: str) -> None:
    """Raises Broken unless a stored column is what follows from `origin`."""
    if type(stored) is not type(computed) or stored != computed:
        raise Broken(column, "column_differs", f"{column} is not what follows from {origin}")


def walk(connection: Connection, source: Table, check: Callable[[AnyRow], None]) -> int:
    """Give each row of `source` to `check`, in order of position, types and positions checked. How many there were.

    Raises Found for the first that is not as it must be, with its place.
    """
    expected = 0
    for expected, row in numbered(connection, source):
        judge(source.name, expected, check, row)
    return expected


def numbered(connection: Connection, source: Table) -> Iterator[tuple[int, AnyRow]]:
    """The rows of `source` with raw values, counted from 1; types and positions are right, or Found is raised."""
    form = _form_of(source)
    for expected, row in _raw(connection, source, "position"):
        if tuple(map(type, row)) not in form.seen or row.position != expected:
            _check_form(form, expected, row)
        yield expected, row


def counted(connection: Connection, source: Table, *order: str) -> Iterator[tuple[int, AnyRow]]:
    """As `numbered`, for a table without positions: in the order of those columns."""
    for count, row in _raw(connection, source, *order):
        judge(source.name, count, _form_of(source).check, row)
        yield count, row


def _raw(connection: Connection, source: Table, *order: str) -> Iterator[tuple[int, AnyRow]]:
    names: list[ColumnClause[Any]] = [column(definition.name) for definition in source.c]
    query = select(*names).select_from(table(source.name)).order_by(*map(column, order))
    make = _form_of(source).make
    expected = 1
    try:
        cursor: Any = connection.execute(query).cursor  # the driver's: row by row, so that the last good one is known
        for row in cursor:
            yield expected, make(row)
            expected += 1
    except (*DATABASE_ERRORS, connection.dialect.loaded_dbapi.Error) as error:
        sentence = f"can't be read: {str(error).splitlines()[0]}"
        raise Found(Fault(source.name, expected, "", "corrupt", sentence)) from error


def judge(name: str, position: int, check: Callable[..., None], *rows: object) -> None:
    """Run `check` on them; what it finds becomes Found at this place."""
    try:
        check(*rows)
    except Broken as broken:
        raise Found(Fault(name, position, broken.column, broken.code, broken.sentence)) from broken
    except LedgerError as error:
        raise Found(Fault(name, position, "", error.code, str(error))) from error


class _Form:
    """How a row of a table looks. seen: types of rows that were right; of each table there are very few."""

    def __init__(self, source: Table) -> None:
        names = [definition.name for definition in source.c]
        self.name = source.name
        self.make: Callable[[Iterable[Any]], AnyRow] = _row_class(source.name, names)._make
        self.seen: set[tuple[type, ...]] = set()
        self._wanted = [(each.name, _python_type(each.type), bool(each.nullable)) for each in source.c]

    def check(self, row: AnyRow) -> None:
        """Raises Broken."""
        for (name, wanted, nullable), value in zip(self._wanted, row, strict=True):
            right = type(value) is wanted or (value is None and nullable)
            demand(right, name, "wrong_type", f"{name} is {type(value).__name__}, not {wanted.__name__}")
        self.seen.add(tuple(map(type, row)))


def _row_class(name: str, columns: list[str]) -> Any:
    return namedtuple(name, columns)  # the columns are known to the schema alone


@cache
def _form_of(source: Table) -> _Form:
    return _Form(source)


def _check_form(form: _Form, expected: int, row: AnyRow) -> None:
    position = row.position
    judge(form.name, position if type(position) is int and position < expected else expected, form.check, row)
    if position > expected:
        raise Found(Fault(form.name, expected, "position", "gap", f"missing; the next row is {position}"))
    if position < expected:
        raise Found(Fault(form.name, position, "position", "out_of_order", f"stands where {expected} belongs"))


def _python_type(declared: object) -> type:
    if isinstance(declared, LargeBinary):
        return bytes
    return str if isinstance(declared, Text) else int if isinstance(declared, Integer) else object
