import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.transports.duplex.served import Served


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    yield served
    served.serving.cancel()
    await asyncio.gather(served.serving, return_exceptions=True)
