"""What journeys share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory with a short path: that of a control socket below it has a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        yield Path(name)
