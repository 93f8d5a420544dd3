"""The BLE bearer as a whole, in a virtual air: HCI, L2CAP, ATT and GATT are real, the radio is not."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.transport_contract import Bench, TransportContract
from tests.transports.ble.bench import in_the_air
from transports.ble.virtual.air import Air


class TestBleTransport(TransportContract):
    silence_ms = 500
    window_ms = 400

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        async with in_the_air(Air()) as bench:
            yield bench
