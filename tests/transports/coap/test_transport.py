"""The CoAP bearer as a whole, on loopback."""

import pytest

from tests.contract.transport_contract import Bench, TransportContract
from tests.transports.coap.bench import LoopbackBench


class TestCoapTransport(TransportContract):
    silence_ms = 300
    window_ms = 250

    @pytest.fixture
    def bench(self) -> Bench:
        return LoopbackBench()
