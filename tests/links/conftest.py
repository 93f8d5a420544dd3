"""What the tests of real links share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns import obstacle


@pytest.fixture
def namespaces() -> None:
    """Skip, and say why; but not on a machine of continuous integration, where root is there to run them."""
    found = obstacle()
    if found is not None:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"these must run here, and can't: {found}")
        pytest.skip(f"a link between two network namespaces can't be had: {found}")


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory with a short path: that of a control socket below it has a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        yield Path(name)
