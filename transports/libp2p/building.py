"""A host of py-libp2p put together from its parts, with our bounds in front of them."""

from transports.libp2p.guard import NEGOTIATION_S, Guard, NoAutoConnector
from transports.libp2p.library import (
    ID,
    IDENTIFY_PUSH_ID,
    NOISE_ID,
    YAMUX_ID,
    BasicHost,
    ConnectionConfig,
    KeyPair,
    Noise,
    PeerStore,
    RetryConfig,
    Swarm,
    TMuxerOptions,
    TProtocol,
    TransportUpgrader,
    create_new_noise_key_pair,
)
from transports.libp2p.muxer import BoundedMuxers, BoundedYamux
from transports.libp2p.sockets import MAX_CONNECTIONS, Sockets

UPGRADE_S = 8
"""For TCP, Noise and yamux, of either direction; measured: 30-60 ms on one machine, and some ten round trips on a slow
link. A stranger who connects and says nothing holds one of the connections for so long."""


def build(keys: KeyPair, sockets: Sockets) -> BasicHost:
    """Not yet running, with no protocols but identify and ping."""
    own = ID.from_pubkey(keys.public_key)
    peers = PeerStore()
    peers.add_key_pair(own, keys)
    noise = Noise(keys, noise_privkey=create_new_noise_key_pair().private_key)
    muxers: TMuxerOptions = {TProtocol(YAMUX_ID): BoundedYamux}
    upgrader = TransportUpgrader({NOISE_ID: noise}, muxers, UPGRADE_S)
    upgrader.muxer_multistream = BoundedMuxers(muxers, UPGRADE_S)
    limits = ConnectionConfig(
        max_connections=MAX_CONNECTIONS,
        min_connections=0,
        low_watermark=0,
        high_watermark=MAX_CONNECTIONS,
        inbound_upgrade_timeout=UPGRADE_S,
        outbound_upgrade_timeout=UPGRADE_S,
        inbound_stream_protocol_negotiation_timeout=NEGOTIATION_S,
        outbound_stream_protocol_negotiation_timeout=NEGOTIATION_S,
    )
    once = RetryConfig(max_retries=0)
    swarm = Swarm(own, peers, upgrader, [sockets], retry_config=once, connection_config=limits)
    swarm.auto_connector = NoAutoConnector(swarm)
    host = BasicHost(swarm, disable_identify_address_discovery=True, negotiate_timeout=NEGOTIATION_S)
    guard = Guard(host, sockets)
    swarm.set_stream_handler(guard.handle)
    swarm.register_notifee(guard)
    host.remove_stream_handler(IDENTIFY_PUSH_ID)  # a way to have us keep things, and nothing that we need
    return host
