"""What the tests of real links share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns import obstacle


@pytest.fixture
def namespaces() -> None:
    """Where this machine can't have them, skip and say why in the summary: the same trades run over the in-memory
    network everywhere."""
    found = obstacle()
    if found is not None:
        pytest.skip(f"a link between two network namespaces can't be had: {found}")


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory with a short path: that of a control socket below it has a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        yield Path(name)
