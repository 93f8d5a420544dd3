import pytest

from tests.contract.transport_contract import Bench, TransportContract
from tests.transports.duplex.pipes import CordBench


class TestDuplex(TransportContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return CordBench()
