"""These tests need the extra `v2xnode[libp2p]`. Without it they are skipped aloud; on CI they have to run."""

import os
from pathlib import Path

import pytest

from tests.transports.libp2p.needs import MISSING

HERE = Path(__file__).parent
WITHOUT_LIBRARY = {"test_address.py", "test_framing.py", "test_probe.py", "test_settings.py"}
"""They run wherever the core does."""


class Skipped(pytest.Module):
    """A module of tests that can't even be imported."""

    def collect(self) -> list[pytest.Item]:
        if os.environ.get("CI"):
            pytest.fail(f"on CI the libp2p tests have to run, but {MISSING}", pytrace=False)
        pytest.skip(f"the libp2p tests did not run: {MISSING} (install v2xnode[libp2p])", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Tests of the bearer are skipped with a reason, or fail, where its library can't be imported."""
    if MISSING is None or module_path.parent != HERE or module_path.name in WITHOUT_LIBRARY:
        return None
    module: pytest.Module = Skipped.from_parent(parent, path=module_path)
    return module
