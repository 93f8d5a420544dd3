"""Says aloud where the power can't be cut; in CI that is a failure."""

from __future__ import annotations

import os

import pytest

from tests.powercut import shim


@pytest.fixture(scope="session")
def shimmed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the shim."""
    if lack := shim.missing():
        if os.environ.get("CI"):
            pytest.fail(lack)
        pytest.skip(lack)
    return shim.environment(tmp_path_factory.mktemp("shim"))
