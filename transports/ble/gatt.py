"""Our GATT service: one characteristic for each way. Every node serves it and looks for it.

The UUIDs are random ones (version 4) of this project and don't change with its versions: those are told in the secure
link. Sizes from the Bluetooth Core Specification 5.4, volume 3, parts F (ATT) and G (GATT).
"""

SERVICE_UUID = "2a8f0591-1c6d-484b-8b2b-62ea6902a5b4"

WRITE_UUID = "4cd6a4a0-7ec5-4500-8a21-b26fb51548d5"
"""What the central says, by writes with and without response."""

NOTIFY_UUID = "5cc8e071-3ae6-4a07-9730-6e17f8362d6e"
"""What the peripheral says, by notifications; subscribing to it opens the pipe."""

ATT_HEADER_BYTES = 3
"""Opcode and handle of a write or a notification: the MTU less these is what one carries."""

LEAST_PACKET_BYTES = 20
"""What fits before an MTU was agreed (23 bytes), and in every link."""

MOST_PACKET_BYTES = 512
"""The longest value of an attribute (3.2.9 of part F): a larger MTU carries no more."""


def packet_bytes(mtu: int) -> int:
    """What one write or notification carries with this ATT MTU, between the two bounds above."""
    return max(LEAST_PACKET_BYTES, min(MOST_PACKET_BYTES, mtu - ATT_HEADER_BYTES))
