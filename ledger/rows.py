"""Rows as they are on the disk, whatever stands in them, and the faults found there. For `audit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnClause, Connection, Integer, LargeBinary, Row, Table, Text, column, select, table

from ledger.database import DATABASE_ERRORS
from ledger.errors import LedgerError

AnyRow: TypeAlias = Row[*tuple[Any, ...]]


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
        judge(source.name, expected, lambda row=row: check(row))  # type: ignore[misc]
    return expected


def numbered(connection: Connection, source: Table) -> Iterator[tuple[int, AnyRow]]:
    """The rows of `source` with raw values, counted from 1; types and positions are right, or Found is raised."""
    for expected, row in _raw(connection, source, "position"):
        _check_form(source, expected, row)
        yield expected, row


def counted(connection: Connection, source: Table, *order: str) -> Iterator[tuple[int, AnyRow]]:
    """As `numbered`, for a table without positions: in the order of those columns."""
    for count, row in _raw(connection, source, *order):
        judge(source.name, count, lambda row=row: _check_types(source, row))  # type: ignore[misc]
        yield count, row


def _raw(connection: Connection, source: Table, *order: str) -> Iterator[tuple[int, AnyRow]]:
    names: list[ColumnClause[Any]] = [column(definition.name) for definition in source.c]
    query = select(*names).select_from(table(source.name)).order_by(*map(column, order))
    expected = 1
    try:
        result = connection.execute(query)
        while (row := result.fetchone()) is not None:
            yield expected, row
            expected += 1
    except DATABASE_ERRORS as error:
        sentence = f"can't be read: {str(error).splitlines()[0]}"
        raise Found(Fault(source.name, expected, "", "corrupt", sentence)) from error


def judge(name: str, position: int, check: Callable[[], None]) -> None:
    """Run `check`; what it finds becomes Found at this place."""
    try:
        check()
    except Broken as broken:
        raise Found(Fault(name, position, broken.column, broken.code, broken.sentence)) from broken
    except LedgerError as error:
        raise Found(Fault(name, position, "", error.code, str(error))) from error


def _check_form(source: Table, expected: int, row: AnyRow) -> None:
    position = row.position
    found_at = position if type(position) is int and position < expected else expected
    judge(source.name, found_at, lambda: _check_types(source, row))
    if position > expected:
        raise Found(Fault(source.name, expected, "position", "gap", f"missing; the next row is {position}"))
    if position < expected:
        raise Found(Fault(source.name, position, "position", "out_of_order", f"stands where {expected} belongs"))


def _check_types(source: Table, row: AnyRow) -> None:
    for definition in source.c:
        name = definition.name
        value: Any = getattr(row, name)
        if value is None and definition.nullable:
            continue
        wanted = _python_type(definition.type)
        demand(type(value) is wanted, name, "wrong_type", f"{name} is {type(value).__name__}, not {wanted.__name__}")


def _python_type(declared: object) -> type:
    if isinstance(declared, LargeBinary):
        return bytes
    return str if isinstance(declared, Text) else int if isinstance(declared, Integer) else object
