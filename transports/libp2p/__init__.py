"""libp2p as a bearer: TCP, Noise, yamux; for fixed sites and coordinators, which have a network.

What is imported here needs no library. `transports.libp2p.transport` needs py-libp2p and trio, the extra
`v2xnode[libp2p]`.
"""

from transports.libp2p.address import InvalidAddress, PeerAddress, parse_address, peer_id
from transports.libp2p.settings import InvalidSettings, Libp2pSettings

__all__ = ["InvalidAddress", "InvalidSettings", "Libp2pSettings", "PeerAddress", "parse_address", "peer_id"]
