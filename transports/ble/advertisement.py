"""The announcement as 6 bytes of manufacturer data in a legacy advertisement, of whose 31 bytes nothing is left:

flags 3 | our 128-bit service UUID 18 | manufacturer data 4 + 6, which are
role bits (upper half) and service bits 1 | identifier 5
"""

from transports.errors import Malformed
from transports.interface import IDENTIFIER_BYTES, Announcement

COMPANY_ID = 0xFFFF
"""The number that the Bluetooth SIG keeps free for tests, until one is assigned. Whoever else uses it is told apart by
our service UUID."""

DATA_BYTES = 1 + IDENTIFIER_BYTES


def encode_announcement(announcement: Announcement) -> bytes:
    """The manufacturer data, company id not included."""
    return bytes([announcement.role_bits << 4 | announcement.service_bits]) + announcement.identifier


def decode_announcement(data: bytes) -> Announcement:
    """Raises Malformed for anything but exactly 6 bytes."""
    if len(data) != DATA_BYTES:
        raise Malformed(f"an announcement has {DATA_BYTES} bytes, not {len(data)}")
    return Announcement(role_bits=data[0] >> 4, service_bits=data[0] & 0x0F, identifier=bytes(data[1:]))
