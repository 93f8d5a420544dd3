"""A ledger, new for each test: in a file, and on a PostgreSQL server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store import Ledger
from tests.ledger import world
from tests.ledger.hands import Where
from tests.support import postgres


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """For what is about files."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server's URL. Skipped aloud where there can be none; on CI it has to be."""
    if postgres.MISSING is not None:
        if os.environ.get("CI"):
            pytest.fail(postgres.MISSING, pytrace=False)
        pytest.skip(postgres.MISSING)
    with postgres.server() as url:
        yield url


@pytest.fixture
def url(postgres_server: str) -> Iterator[str]:
    """For what is about PostgreSQL: an empty schema of its own."""
    with postgres.fresh_schema(postgres_server) as fresh:
        yield fresh


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest) -> Where:
    """For what holds wherever a ledger is kept."""
    found: Where = request.getfixturevalue("path" if request.param == "sqlite" else "url")
    return found


@pytest.fixture
def ledger(where: Where) -> Iterator[Ledger]:
    with world.open_ledger(where) as opened:
        yield opened
