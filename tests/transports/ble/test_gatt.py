import uuid

import pytest

from transports.ble.gatt import (
    LEAST_PACKET_BYTES,
    MOST_PACKET_BYTES,
    NOTIFY_UUID,
    SERVICE_UUID,
    WRITE_UUID,
    packet_bytes,
)
from transports.duplex.message import MAX_MESSAGE_BYTES
from transports.framing import Fragmenter


@pytest.mark.parametrize(("mtu", "carried"), [(0, 20), (23, 20), (24, 21), (185, 182), (515, 512), (517, 512)])
def test_what_an_mtu_carries(mtu: int, carried: int) -> None:
    assert packet_bytes(mtu) == carried


def test_the_uuids_are_three_random_ones_in_the_usual_form() -> None:
    uuids = [SERVICE_UUID, WRITE_UUID, NOTIFY_UUID]
    assert len(set(uuids)) == 3
    for text in uuids:
        assert uuid.UUID(text).version == 4
        assert str(uuid.UUID(text)) == text


@pytest.mark.parametrize("size", [LEAST_PACKET_BYTES, MOST_PACKET_BYTES])
def test_the_largest_message_fits_every_size(size: int) -> None:
    fragments = Fragmenter(size, longest=MAX_MESSAGE_BYTES).split(bytes(MAX_MESSAGE_BYTES))
    assert len(fragments) <= 256
    assert max(map(len, fragments)) <= size
