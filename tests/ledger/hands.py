"""What another hand does to a ledger's tables, or sees there, wherever they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

Where: TypeAlias = Path | str


def asked(where: Where, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of one statement; `?` stands for each value."""
    if isinstance(where, Path):
        with closing(sqlite3.connect(where, isolation_level=None)) as file:
            return file.execute(sql, values).fetchall()
    import psycopg

    with psycopg.connect(where, autocommit=True) as server:
        cursor = server.execute(sql.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []


def count(where: Where, table: str) -> int:
    """How many rows there are."""
    return int(asked(where, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608
