"""Gives each test module of the transports the event loop that it asks for."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.support.virtual_time import chosen_loop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return chosen_loop(item)
