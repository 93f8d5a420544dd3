import pytest

from tests.transports.coap.bench import LoopbackBench


@pytest.fixture
def bench() -> LoopbackBench:
    return LoopbackBench()
