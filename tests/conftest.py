"""What all tests share: how workers share them, and that a busy machine is no fault of theirs."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling


def pytest_configure() -> None:
    """How long an example takes, or its making, tells of the machine and its other processes. All else stays as it is,
    on continuous integration too."""
    settings.register_profile("shared", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("shared")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "Scheduling":
    """Files in their own order, not the ones with the most tests first: those with few tests last longest."""
    from tests.support.side_by_side import SideBySide

    config.option.loadscopereorder = False
    return SideBySide(config, log)
