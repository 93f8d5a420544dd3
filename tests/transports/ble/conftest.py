"""Tests in an air need the extra `v2xnode[virtual-ble]`. Without it they are skipped aloud; on CI they have to run."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTALLED = find_spec("bumble") is not None
IN_THE_AIR = {"test_central.py", "test_processes.py", "test_storm.py", "test_strangers.py", "test_transport.py"}

if INSTALLED:
    from tests.transports.ble.fixtures import air as air
    from tests.transports.ble.fixtures import bench as bench


class Skipped(pytest.Module):
    """A module of tests that can't be imported."""

    def collect(self) -> list[pytest.Item]:
        if os.environ.get("CI"):
            pytest.fail("on CI the tests in a virtual air have to run, but bumble is not installed", pytrace=False)
        pytest.skip("not tested: bumble is not installed (v2xnode[virtual-ble])", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    needed = module_path.parent == HERE / "virtual" or module_path.name in IN_THE_AIR
    if INSTALLED or not needed or HERE not in module_path.parents:
        return None
    module: pytest.Module = Skipped.from_parent(parent, path=module_path)
    return module
