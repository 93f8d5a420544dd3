"""What `/v2x/sighting/1.0.0` carries: the announcement as 6 bytes, said by the acceptor, who then closes the stream.

role bits (upper half) and service bits 1 | identifier 5
"""

from transports.errors import Malformed
from transports.interface import IDENTIFIER_BYTES, Announcement

SIGHTING_PROTOCOL = "/v2x/sighting/1.0.0"
SIGHTING_BYTES = 1 + IDENTIFIER_BYTES


def encode_sighting(announcement: Announcement) -> bytes:
    return bytes([announcement.role_bits << 4 | announcement.service_bits]) + announcement.identifier


def decode_sighting(data: bytes) -> Announcement:
    """Raises Malformed for anything but exactly 6 bytes."""
    if len(data) != SIGHTING_BYTES:
        raise Malformed(f"a sighting has {SIGHTING_BYTES} bytes, not {len(data)}")
    return Announcement(role_bits=data[0] >> 4, service_bits=data[0] & 0x0F, identifier=data[1:])
