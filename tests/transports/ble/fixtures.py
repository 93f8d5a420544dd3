"""For every test module below that needs an air."""

from collections.abc import AsyncIterator

import pytest

from tests.transports.ble.bench import AirBench, in_the_air
from transports.ble.virtual.air import Air


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
async def bench(air: Air) -> AsyncIterator[AirBench]:
    async with in_the_air(air) as bench:
        yield bench
