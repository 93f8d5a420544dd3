"""A ledger, new for each test: in a file, and on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.ledger import Ledger
from tests.ledger import world
from tests.ledger.hands import Where
from tests.support.postgres import url as url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """For what is about files."""
    return tmp_path / "ledger.store.sqlite"


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest) -> Where:
    """For what holds wherever a ledger is kept."""
    found: Where = request.getfixturevalue("path" if request.param == "sqlite" else "url")
    return found


@pytest.fixture
def ledger(where: Where) -> Iterator[Ledger]:
    with world.open_ledger(where) as opened:
        yield opened
