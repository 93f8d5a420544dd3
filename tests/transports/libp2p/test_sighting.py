"""The announcement on the sighting protocol."""

import pytest

from transports.errors import Malformed
from transports.interface import Announcement
from transports.libp2p.sighting import decode_sighting, encode_sighting


def test_six_bytes_there_and_back() -> None:
    announcement = Announcement(role_bits=9, service_bits=5, identifier=b"\x01\x02\x03\x04\x05")
    assert encode_sighting(announcement) == b"\x95\x01\x02\x03\x04\x05"
    assert decode_sighting(encode_sighting(announcement)) == announcement


@pytest.mark.parametrize("size", [0, 5, 7])
def test_any_other_number_is_malformed(size: int) -> None:
    with pytest.raises(Malformed):
        decode_sighting(bytes(size))
