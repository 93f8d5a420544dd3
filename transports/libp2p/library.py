"""All that we use of py-libp2p, imported in one place so that what it does to its surroundings can be undone.

On import it empties the handlers of the logger `libp2p` and cuts it off, and it sets deprecation warnings of its own
dependencies free. One of its modules logs through the functions of `logging`, which install a handler on the root
logger of a program that has none.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("libp2p")
MAX_PLACES = 512
"""More than the library has warnings and errors."""


class OncePerPlace(logging.Handler):
    """Says each of the library's complaints once: most of them are about what a stranger sent, who could fill a disk
    with them."""

    def __init__(self, onward: logging.Logger) -> None:
        super().__init__(logging.WARNING)
        self._onward = onward
        self._said: set[tuple[str, int]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        place = (record.pathname, record.lineno)
        if place not in self._said and len(self._said) < MAX_PLACES:
            self._said.add(place)
            self._onward.info("said once: %s", record.getMessage())


@contextmanager
def _surroundings_kept() -> Iterator[None]:
    handlers, level, propagate = list(_LOGGER.handlers), _LOGGER.level, _LOGGER.propagate
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        _LOGGER.handlers[:] = handlers
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagate


with _surroundings_kept():
    from libp2p import new_host
    from libp2p.abc import (
        IListener,
        IMuxedConn,
        IMuxedStream,
        INetConn,
        INetStream,
        INetwork,
        INotifee,
        IRawConnection,
        ISecureConn,
        ITransport,
    )
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.keys import KeyPair
    from libp2p.crypto.x25519 import create_new_key_pair as create_new_noise_key_pair
    from libp2p.custom_types import THandler, TMuxerOptions, TProtocol
    from libp2p.exceptions import BaseLibp2pError
    from libp2p.host.basic_host import BasicHost
    from libp2p.host.exceptions import StreamFailure
    from libp2p.host.ping import PingService
    from libp2p.identity.identify_push.identify_push import ID_PUSH as IDENTIFY_PUSH_ID
    from libp2p.io.abc import ReadWriteCloser
    from libp2p.io.exceptions import ConnectionClosedError
    from libp2p.network.auto_connector import AutoConnector
    from libp2p.network.config import ConnectionConfig, RetryConfig
    from libp2p.network.connection import swarm_connection
    from libp2p.network.connection.raw_connection import RawConnection
    from libp2p.network.connection.swarm_connection import SwarmConn
    from libp2p.network.stream.exceptions import StreamEOF, StreamError
    from libp2p.network.stream.net_stream import NetStream
    from libp2p.network.swarm import Swarm
    from libp2p.peer.id import ID
    from libp2p.peer.peerstore import PeerStore
    from libp2p.protocol_muxer.exceptions import MultiselectCommunicatorError
    from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
    from libp2p.pubsub.gossipsub import GossipSub
    from libp2p.pubsub.pb.rpc_pb2 import RPC as PubsubRpc
    from libp2p.pubsub.pb.rpc_pb2 import Message as PubsubMessage
    from libp2p.pubsub.pubsub import Pubsub
    from libp2p.rcmgr import Direction
    from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_ID
    from libp2p.security.noise.transport import Transport as Noise
    from libp2p.stream_muxer.exceptions import MuxedStreamError
    from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
    from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_ID
    from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream
    from libp2p.tools.anyio_service import background_trio_service
    from libp2p.transport.exceptions import OpenConnectionError
    from libp2p.transport.upgrader import TransportUpgrader
    from libp2p.utils.varint import read_varint_prefixed_bytes_limited
    from multiaddr import Multiaddr  # type: ignore[import-untyped, unused-ignore]

if not any(isinstance(handler, OncePerPlace) for handler in _LOGGER.handlers):
    _LOGGER.addHandler(OncePerPlace(logging.getLogger(__name__)))
    _LOGGER.propagate = False
    _LOGGER.setLevel(_LOGGER.level or logging.WARNING)
setattr(swarm_connection, "logging", logging.getLogger(swarm_connection.__name__))  # noqa: B010 - not exported

__all__ = [
    "ID",
    "IDENTIFY_PUSH_ID",
    "NOISE_ID",
    "YAMUX_ID",
    "AutoConnector",
    "BaseLibp2pError",
    "BasicHost",
    "ConnectionClosedError",
    "ConnectionConfig",
    "Direction",
    "GossipSub",
    "IListener",
    "IMuxedConn",
    "IMuxedStream",
    "INetConn",
    "INetStream",
    "INetwork",
    "INotifee",
    "IRawConnection",
    "ISecureConn",
    "ITransport",
    "KeyPair",
    "Multiaddr",
    "MultiselectCommunicator",
    "MultiselectCommunicatorError",
    "MuxedStreamError",
    "MuxerMultistream",
    "NetStream",
    "Noise",
    "OpenConnectionError",
    "PeerStore",
    "PingService",
    "Pubsub",
    "PubsubMessage",
    "PubsubRpc",
    "RawConnection",
    "ReadWriteCloser",
    "RetryConfig",
    "StreamEOF",
    "StreamError",
    "StreamFailure",
    "Swarm",
    "SwarmConn",
    "THandler",
    "TMuxerOptions",
    "TProtocol",
    "TransportUpgrader",
    "Yamux",
    "YamuxStream",
    "background_trio_service",
    "create_new_key_pair",
    "create_new_noise_key_pair",
    "new_host",
    "read_varint_prefixed_bytes_limited",
]
