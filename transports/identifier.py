"""Identifiers that change, and that only those who hold the node's resolving key can tell to be the same node's.

The construction is that of Bluetooth's resolvable private addresses (Core Specification, volume 3 part C section
10.8.2) with HMAC-SHA256: 2 random bytes, then the first 3 bytes of their keyed hash. A stranger's identifier resolves
by chance once in 16,777,216 times, so resolving is a hint whom to dial, never an authentication.
"""

import hashlib
import hmac

from transports.errors import Malformed
from transports.interface import IDENTIFIER_BYTES, Announcement

RESOLVING_KEY_BYTES = 16
RANDOM_BYTES = 2

ROTATION_MS = 15 * 60 * 1000
"""An identifier is used no longer than this, and never again after a restart (the period that the Bluetooth Core
Specification recommends for private addresses)."""

ANNOUNCEMENT_BYTES = 1 + IDENTIFIER_BYTES


def make_identifier(key: bytes, random: bytes) -> bytes:
    """The identifier, `IDENTIFIER_BYTES` long, under a key of 16 and from 2 random bytes. Raises ValueError."""
    if len(key) != RESOLVING_KEY_BYTES or len(random) != RANDOM_BYTES:
        raise ValueError(f"a resolving key has {RESOLVING_KEY_BYTES} bytes, the random part {RANDOM_BYTES}")
    return random + hmac.digest(key, random, hashlib.sha256)[: IDENTIFIER_BYTES - RANDOM_BYTES]


def resolves(key: bytes, identifier: bytes) -> bool:
    """Whether the holder of `key` probably made `identifier`; False for one of a wrong length."""
    if len(identifier) != IDENTIFIER_BYTES:
        return False
    return hmac.compare_digest(make_identifier(key, identifier[:RANDOM_BYTES]), identifier)


def pack_announcement(announcement: Announcement) -> bytes:
    """6 bytes: role bits in the high half of the first and service bits in the low, then the identifier."""
    return bytes([announcement.role_bits << 4 | announcement.service_bits]) + announcement.identifier


def unpack_announcement(data: bytes) -> Announcement:
    """The inverse. Raises Malformed unless `data` is `ANNOUNCEMENT_BYTES` long."""
    if len(data) != ANNOUNCEMENT_BYTES:
        raise Malformed(f"an announcement has {ANNOUNCEMENT_BYTES} bytes")
    return Announcement(data[0] >> 4, data[0] & 15, data[1:])
