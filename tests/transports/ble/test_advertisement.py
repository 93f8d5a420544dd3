import pytest

from transports.ble.advertisement import DATA_BYTES, decode_announcement, encode_announcement
from transports.errors import Malformed
from transports.interface import IDENTIFIER_BYTES, Announcement


def test_it_is_six_bytes_and_comes_back() -> None:
    announcement = Announcement(role_bits=0b0001, service_bits=0b1010, identifier=b"abcde")
    assert encode_announcement(announcement) == b"\x1aabcde"
    assert decode_announcement(b"\x1aabcde") == announcement


@pytest.mark.parametrize("first", range(256))
def test_every_byte_of_bits_comes_back(first: int) -> None:
    data = bytes([first]) + bytes(IDENTIFIER_BYTES)
    assert encode_announcement(decode_announcement(data)) == data


@pytest.mark.parametrize("size", [0, 1, DATA_BYTES - 1, DATA_BYTES + 1, 255])
def test_other_sizes_are_none_of_ours(size: int) -> None:
    with pytest.raises(Malformed):
        decode_announcement(bytes(size))
